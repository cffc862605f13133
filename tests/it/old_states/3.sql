-- Runs, what they did, and what the last passed one of each target found.

create table runs (
    id          text primary key,
    estate      text not null,
    target      text not null,
    runbook     text not null,
    document    text not null,
    inputs      text not null,
    state       text not null,
    reason      text,
    started_at  text not null,
    expires_at  text,
    ended_at    text,
    simulated   integer not null,
    keep_for    integer not null,
    accept      integer not null,
    account     text not null,
    epoch       integer not null,
    report      text
);
create index runs_by_target on runs (estate, target, started_at);
create table journal (
    run_id  text not null references runs (id),
    seq     integer not null,
    at      text not null,
    epoch   integer not null,
    entry   text not null,
    primary key (run_id, seq)
);
create table baselines (
    estate  text not null,
    target  text not null,
    simulated integer not null,
    run_id  text not null,
    at      text not null,
    facts   text not null,
    primary key (estate, target, simulated)
);

-- What a daemon needs: whose a run is, what is due, what is wrong, and what people are still to be told. Times that
-- are compared are milliseconds since 1970.

alter table runs add column occurrence text;
alter table runs add column lease_until bigint;
create unique index runs_by_occurrence on runs (occurrence);
create index runs_by_state on runs (estate, state);
create table jobs (
    estate    text not null,
    simulated integer not null,
    name      text not null,
    target    text,
    timetable text not null,
    anchor_at bigint not null,
    due_at    bigint,
    start_at  bigint,
    primary key (estate, simulated, name)
);
create table incidents (
    estate    text not null,
    target    text not null,
    simulated integer not null,
    outcome   text not null,
    since     bigint not null,
    told_at   bigint not null,
    run_id    text not null,
    primary key (estate, target, simulated)
);
create table outbox (
    id            text primary key,
    estate        text not null,
    channel       text not null,
    message       text not null,
    state         text not null,
    created_at    bigint not null,
    attempts      integer not null,
    next_try_at   bigint not null,
    claimed_until bigint,
    error         text
);
create index outbox_by_state on outbox (estate, state, next_try_at);
create table threads (
    channel   text not null,
    incident  text not null,
    reference text not null,
    primary key (channel, incident)
);

-- A run is of an account and a Region, and so are what is known, wrong and due of an estate there. What was written before
-- that is of a Region that nobody knows ('') until the estate is next worked on; its account is its run's.

alter table runs add column region text not null default '';

create table baselines_of_region (
    estate    text not null,
    target    text not null,
    simulated integer not null,
    account   text not null,
    region    text not null,
    run_id    text not null,
    at        text not null,
    facts     text not null,
    primary key (estate, target, simulated, account, region)
);
insert into baselines_of_region (estate, target, simulated, account, region, run_id, at, facts)
    select estate, target, simulated,
           coalesce((select account from runs where runs.id = baselines.run_id), ''), '', run_id, at, facts
    from baselines;
drop table baselines;
alter table baselines_of_region rename to baselines;

create table incidents_of_region (
    estate    text not null,
    target    text not null,
    simulated integer not null,
    account   text not null,
    region    text not null,
    outcome   text not null,
    since     bigint not null,
    told_at   bigint not null,
    run_id    text not null,
    primary key (estate, target, simulated, account, region)
);
insert into incidents_of_region (estate, target, simulated, account, region, outcome, since, told_at, run_id)
    select estate, target, simulated,
           coalesce((select account from runs where runs.id = incidents.run_id), ''), '', outcome, since, told_at, run_id
    from incidents;
drop table incidents;
alter table incidents_of_region rename to incidents;

create table jobs_of_region (
    estate    text not null,
    simulated integer not null,
    account   text not null,
    region    text not null,
    name      text not null,
    target    text,
    timetable text not null,
    anchor_at bigint not null,
    due_at    bigint,
    start_at  bigint,
    primary key (estate, simulated, account, region, name)
);
insert into jobs_of_region (estate, simulated, account, region, name, target, timetable, anchor_at, due_at, start_at)
    select estate, simulated, '', '', name, target, timetable, anchor_at, due_at, start_at from jobs;
drop table jobs;
alter table jobs_of_region rename to jobs;

