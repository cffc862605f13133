//! What is due. An occurrence of a job becomes a run in the transaction that moves the job on, and so exactly once.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::connection::Store;
use super::migrate::IDENTITY;
use super::owner::{Owner, new_token};
use super::runs::{FIRST_EPOCH, NewRun};
use super::scope::{Scope, adopt};
use super::time_limit::TimeLimit;

/// Something that is done again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name, unique in the estate.
    pub name: String,
    /// The target that it tests; absent where it tests none.
    pub target: Option<String>,
    /// When, in the words of the configuration.
    pub timetable: String,
}

/// A job as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedJob {
    /// The job.
    pub job: Job,
    /// When it is due; `None` where it never is again.
    pub due_at: Option<Timestamp>,
    /// When it starts: when it is due, and a little later so that not everything starts at once.
    pub start_at: Option<Timestamp>,
}

/// A job whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueJob {
    /// Its name.
    pub name: String,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it should have started.
    pub start_at: Timestamp,
    /// What a rate counts from.
    pub anchor_at: Timestamp,
    /// The id of the run that this occurrence becomes: the same whoever takes it, so that one that was taken twice, because
    /// a database has lost the first commit, is still one run, whose second owner finds what its first has made.
    pub run_id: String,
}

/// What becomes of a job whose time has come.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// When it is due again.
    pub due_at: Option<Timestamp>,
    /// When it starts then.
    pub start_at: Option<Timestamp>,
    /// The run that it becomes now, where it becomes one.
    pub run: Option<NewRun>,
}

fn time(millis: Option<i64>) -> anyhow::Result<Option<Timestamp>> {
    Ok(millis.map(Timestamp::from_millisecond).transpose()?)
}

/// A ULID whose time is when the job was due, and whose random part is a hash: another store has others.
fn run_id(identity: i64, of: Scope<'_>, job: &str, due_at_millis: i64) -> String {
    let Scope { estate, account, region, simulated } = of;
    let occurrence = serde_json::json!([identity, estate, account, region, simulated, job, due_at_millis]).to_string();
    let hash = Sha256::digest(occurrence).into_iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(byte));
    ulid::Ulid::from_parts(u64::try_from(due_at_millis).unwrap_or(0), hash).to_string()
}

/// Binds what `$1` to `$4` stand for in every question about an estate's jobs.
fn scoped<'q, O>(
    query: sqlx::query::QueryAs<'q, sqlx::Any, O, sqlx::any::AnyArguments>,
    of: Scope<'q>,
) -> sqlx::query::QueryAs<'q, sqlx::Any, O, sqlx::any::AnyArguments> {
    query.bind(of.estate).bind(i64::from(of.simulated)).bind(of.account).bind(of.region)
}

impl Store {
    /// The jobs of an estate.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn jobs(&self, of: Scope<'_>) -> anyhow::Result<Vec<PlannedJob>> {
        let sql = "select name, target, timetable, due_at, start_at from jobs
                   where estate = $1 and simulated = $2 and account = $3 and region = $4 order by name";
        type Row = (String, Option<String>, String, Option<i64>, Option<i64>);
        let rows: Vec<Row> = scoped(sqlx::query_as(sql), of).fetch_all(&self.pool).limited().await?;
        let planned = rows.into_iter().map(|(name, target, timetable, due_at, start_at)| {
            let job = Job { name, target, timetable };
            Ok(PlannedJob { job, due_at: time(due_at)?, start_at: time(start_at)? })
        });
        planned.collect()
    }

    /// Makes the jobs of an estate what they should be. `plan` says when a new or changed one is due, from `now` on; the
    /// others stay as they are, so that what was missed while nobody was there is still known, unless they would come
    /// later than `plan` says: then a clock ran ahead, or somebody else's configuration had no such job.
    ///
    /// # Errors
    /// Where they could not be written.
    pub async fn plan_jobs(
        &self,
        of: Scope<'_>,
        now: Timestamp,
        jobs: &[Job],
        plan: impl Fn(&Job) -> (Option<Timestamp>, Option<Timestamp>) + Send,
    ) -> anyhow::Result<()> {
        type Row = (String, String, Option<i64>);
        let mut transaction = self.writing().await?;
        adopt(&mut transaction, of).await?;
        let select = "select name, timetable, due_at from jobs
                      where estate = $1 and simulated = $2 and account = $3 and region = $4";
        let known: Vec<Row> = scoped(sqlx::query_as(select), of).fetch_all(&mut *transaction).limited().await?;
        for (name, _, _) in known.iter().filter(|(name, _, _)| jobs.iter().all(|job| job.name != *name)) {
            let delete = "delete from jobs
                          where estate = $1 and simulated = $2 and account = $3 and region = $4 and name = $5";
            sqlx::query(delete)
                .bind(of.estate)
                .bind(i64::from(of.simulated))
                .bind(of.account)
                .bind(of.region)
                .bind(name)
                .execute(&mut *transaction)
                .limited()
                .await?;
        }
        for job in jobs {
            let (due_at, start_at) = plan(job);
            let (due_at, start_at) = (due_at.map(Timestamp::as_millisecond), start_at.map(Timestamp::as_millisecond));
            let stays = known.iter().any(|(name, timetable, known_due)| {
                let in_time = due_at.is_none_or(|due_at| known_due.is_some_and(|known_due| known_due <= due_at));
                *name == job.name && *timetable == job.timetable && in_time
            });
            if stays {
                continue;
            }
            sqlx::query(
                "insert into jobs (estate, simulated, account, region, name, target, timetable, anchor_at, due_at,
                                   start_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                 on conflict (estate, simulated, account, region, name) do update set target = excluded.target,
                     timetable = excluded.timetable, anchor_at = excluded.anchor_at, due_at = excluded.due_at,
                     start_at = excluded.start_at",
            )
            .bind(of.estate)
            .bind(i64::from(of.simulated))
            .bind(of.account)
            .bind(of.region)
            .bind(&job.name)
            .bind(&job.target)
            .bind(&job.timetable)
            .bind(now.as_millisecond())
            .bind(due_at)
            .bind(start_at)
            .execute(&mut *transaction)
            .limited()
            .await?;
        }
        Ok(transaction.commit().limited().await?)
    }

    /// Takes the next of these jobs whose time has come, unless its target is being tested. `decide` says what becomes of
    /// it. A job that only another agent's configuration knows is left to that agent.
    ///
    /// # Errors
    /// Where the store could not be written; the job is then still due.
    pub async fn claim_job<T: Send>(
        &self,
        of: Scope<'_>,
        now: Timestamp,
        known: &[String],
        decide: impl Fn(&DueJob) -> anyhow::Result<(Claimed, T)> + Send,
    ) -> anyhow::Result<Option<(DueJob, T, Option<Owner>)>> {
        let mut transaction = self.writing().await?;
        let names: Vec<String> = (0..known.len()).map(|at| format!("${}", at + 6)).collect();
        let select = format!(
            "select name, due_at, start_at, anchor_at from jobs
             where estate = $1 and simulated = $2 and account = $3 and region = $4 and start_at <= $5 and name in ({})
               and not exists (select 1 from runs where runs.estate = jobs.estate and runs.target = jobs.target
                                                    and runs.simulated = jobs.simulated
                                                    and runs.account = jobs.account
                                                    and runs.region in ('', jobs.region) and runs.state = 'running')
             order by start_at, name limit 1{}",
            names.join(", "),
            self.skip_locked()
        );
        let mut due = sqlx::query_as::<_, (String, i64, i64, i64)>(AssertSqlSafe(select))
            .bind(of.estate)
            .bind(i64::from(of.simulated))
            .bind(of.account)
            .bind(of.region)
            .bind(now.as_millisecond());
        for name in known {
            due = due.bind(name);
        }
        let row = due.fetch_optional(&mut *transaction).limited().await?;
        let Some((name, due_at, start_at, anchor_at)) = row else { return Ok(None) };
        let run_id = run_id(self.identity(&mut transaction).await?, of, &name, due_at);
        let job = DueJob {
            run_id,
            name,
            due_at: Timestamp::from_millisecond(due_at)?,
            start_at: Timestamp::from_millisecond(start_at)?,
            anchor_at: Timestamp::from_millisecond(anchor_at)?,
        };
        let (claimed, made) = decide(&job)?;
        let update = "update jobs set due_at = $6, start_at = $7
                      where estate = $1 and simulated = $2 and account = $3 and region = $4 and name = $5";
        sqlx::query(update)
            .bind(of.estate)
            .bind(i64::from(of.simulated))
            .bind(of.account)
            .bind(of.region)
            .bind(&job.name)
            .bind(claimed.due_at.map(Timestamp::as_millisecond))
            .bind(claimed.start_at.map(Timestamp::as_millisecond))
            .execute(&mut *transaction)
            .limited()
            .await?;
        let owner = match claimed.run {
            Some(new) if !self.has_occurred(&mut transaction, &new).await? => {
                let reserved = self.reserve(&new.id)?;
                let watch = super::lease::watch();
                let token = new_token();
                self.insert_run(&mut transaction, &new, &token).await?;
                transaction.commit().limited().await?;
                Some(self.own(&new.id, FIRST_EPOCH, token, reserved, watch))
            }
            // Without a run, or with one that there was already: a clock was set back, and the job planned anew.
            _ => {
                transaction.commit().limited().await?;
                None
            }
        };
        Ok(Some((job, made, owner)))
    }

    async fn identity(&self, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
        let sql = "select value from counters where name = $1";
        sqlx::query_scalar(sql).bind(IDENTITY).fetch_one(connection).limited().await
    }

    async fn has_occurred(&self, connection: &mut AnyConnection, new: &NewRun) -> anyhow::Result<bool> {
        let sql = "select count(*) from runs where occurrence = $1";
        let found: i64 = sqlx::query_scalar(sql).bind(&new.occurrence).fetch_one(connection).limited().await?;
        Ok(found > 0)
    }
}
