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
