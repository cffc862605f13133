-- The first daemon did not tell the sandbox's jobs from those of AWS: they are taken for those of AWS.

alter table jobs rename to old_jobs;
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
insert into jobs (estate, simulated, name, target, timetable, anchor_at, due_at, start_at)
    select estate, 0, name, target, timetable, anchor_at, due_at, start_at from old_jobs;
drop table old_jobs;
