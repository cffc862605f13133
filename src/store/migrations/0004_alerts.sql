-- What is wrong is told by check: a copy that could not be removed is another alert than a test that failed, and neither
-- mutes the other. Runs are ordered by the store's own sequence, which no clock has a say in. A message belongs to an alert,
-- and leaves in its order.

create table counters (
    name  text primary key,
    value bigint not null
);
alter table runs add column seq bigint not null default 0;
update runs set seq = numbered.n
    from (select id, row_number() over (order by id) as n from runs) as numbered
    where numbered.id = runs.id;
insert into counters (name, value) select 'runs', coalesce(max(seq), 0) from runs;
insert into counters (name, value) values ('outbox', 0);
create index runs_by_sequence on runs (estate, target, seq);

create table alerts (
    estate    text not null,
    target    text not null,
    simulated integer not null,
    account   text not null,
    region    text not null,
    check_id  text not null,
    outcome   text not null,
    since     bigint not null,
    told_at   bigint not null,
    run_id    text not null,
    primary key (estate, target, simulated, account, region, check_id)
);
insert into alerts (estate, target, simulated, account, region, check_id, outcome, since, told_at, run_id)
    select estate, target, simulated, account, region,
           case outcome when 'stuck' then 'cleanup' else 'restore-test' end, outcome, since, told_at, run_id
    from incidents;
drop table incidents;

alter table outbox add column alert text not null default '';
alter table outbox add column seq bigint not null default 0;
