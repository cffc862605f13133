-- The first state files had runs without account and options, and a baseline without a word on whose it was. Only SQLite ever
-- held such. The journal refers to runs, and so is written anew with them.

drop index runs_by_target;
alter table runs rename to old_runs;
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
insert into runs (id, estate, target, runbook, document, inputs, state, reason, started_at, expires_at, ended_at, simulated,
                  keep_for, accept, account, epoch, report)
    select id, estate, target, runbook, document, inputs, state, reason, started_at, expires_at, ended_at, simulated,
           0, 0, '', epoch, report
    from old_runs;

alter table journal rename to old_journal;
create table journal (
    run_id  text not null references runs (id),
    seq     integer not null,
    at      text not null,
    epoch   integer not null,
    entry   text not null,
    primary key (run_id, seq)
);
insert into journal (run_id, seq, at, epoch, entry) select run_id, seq, at, epoch, entry from old_journal;
drop table old_journal;

alter table baselines rename to old_baselines;
create table baselines (
    estate  text not null,
    target  text not null,
    simulated integer not null,
    run_id  text not null,
    at      text not null,
    facts   text not null,
    primary key (estate, target, simulated)
);
insert into baselines (estate, target, simulated, run_id, at, facts)
    select estate, target, coalesce((select simulated from runs where runs.id = old_baselines.run_id), 0), run_id, at, facts
    from old_baselines;
drop table old_baselines;
drop table old_runs;
