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
    expires_at  text not null,
    ended_at    text,
    simulated   integer not null,
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
    run_id  text not null,
    at      text not null,
    facts   text not null,
    primary key (estate, target)
);
