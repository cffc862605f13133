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
alter table runs add column occurrence text;
alter table runs add column lease_until bigint;
create unique index runs_by_occurrence on runs (occurrence);
create index runs_by_state on runs (estate, state);
create table jobs (
    estate    text not null,
    name      text not null,
    target    text,
    timetable text not null,
    anchor_at bigint not null,
    due_at    bigint,
    start_at  bigint,
    primary key (estate, name)
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
