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
