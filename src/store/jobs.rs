//! What is due. An occurrence of a job becomes a run in the transaction that moves the job on, and so exactly once.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::owner::Owner;
use super::runs::NewRun;
use super::schema::Store;

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

impl Store {
    /// The jobs of an estate.
    ///
    /// # Errors
    /// Where they could not be read.
    pub async fn jobs(&self, estate: &str) -> anyhow::Result<Vec<PlannedJob>> {
        let sql = "select name, target, timetable, due_at, start_at from jobs where estate = $1 order by name";
        type Row = (String, Option<String>, String, Option<i64>, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(sql).bind(estate).fetch_all(&self.pool).await?;
        let planned = rows.into_iter().map(|(name, target, timetable, due_at, start_at)| {
            let job = Job { name, target, timetable };
            Ok(PlannedJob { job, due_at: time(due_at)?, start_at: time(start_at)? })
        });
        planned.collect()
    }

    /// Makes the jobs of an estate what they should be. `plan` says when a new or changed one is due, from `now` on; the
    /// others stay as they are, so that what was missed while nobody was there is still known.
    ///
    /// # Errors
    /// Where they could not be written.
    pub async fn plan_jobs(
        &self,
        estate: &str,
        now: Timestamp,
        jobs: &[Job],
        plan: impl Fn(&Job) -> (Option<Timestamp>, Option<Timestamp>) + Send,
    ) -> anyhow::Result<()> {
        let mut transaction = self.writing().await?;
        let known: Vec<(String, String)> = sqlx::query_as("select name, timetable from jobs where estate = $1")
            .bind(estate)
            .fetch_all(&mut *transaction)
            .await?;
        for (name, _) in known.iter().filter(|(name, _)| jobs.iter().all(|job| job.name != *name)) {
            let delete = sqlx::query("delete from jobs where estate = $1 and name = $2").bind(estate).bind(name);
            delete.execute(&mut *transaction).await?;
        }
        for job in jobs.iter().filter(|job| !known.contains(&(job.name.clone(), job.timetable.clone()))) {
            let (due_at, start_at) = plan(job);
            sqlx::query(
                "insert into jobs (estate, name, target, timetable, anchor_at, due_at, start_at)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (estate, name) do update set target = excluded.target, timetable = excluded.timetable,
                     anchor_at = excluded.anchor_at, due_at = excluded.due_at, start_at = excluded.start_at",
            )
            .bind(estate)
            .bind(&job.name)
            .bind(&job.target)
            .bind(&job.timetable)
            .bind(now.as_millisecond())
            .bind(due_at.map(Timestamp::as_millisecond))
            .bind(start_at.map(Timestamp::as_millisecond))
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Takes the next job whose time has come, unless its target is being tested. `decide` says what becomes of it.
    ///
    /// # Errors
    /// Where the store could not be written; the job is then still due.
    pub async fn claim_job<T: Send>(
        &self,
        estate: &str,
        now: Timestamp,
        decide: impl Fn(&DueJob) -> anyhow::Result<(Claimed, T)> + Send,
    ) -> anyhow::Result<Option<(DueJob, T, Option<Owner>)>> {
        let mut transaction = self.writing().await?;
        let select = format!(
            "select name, due_at, start_at, anchor_at from jobs where estate = $1 and start_at <= $2
               and not exists (select 1 from runs where runs.estate = jobs.estate and runs.target = jobs.target
                                                    and runs.state = 'running')
             order by start_at, name limit 1{}",
            self.skip_locked()
        );
        let row: Option<(String, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(select))
            .bind(estate)
            .bind(now.as_millisecond())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some((name, due_at, start_at, anchor_at)) = row else { return Ok(None) };
        let job = DueJob {
            name,
            due_at: Timestamp::from_millisecond(due_at)?,
            start_at: Timestamp::from_millisecond(start_at)?,
            anchor_at: Timestamp::from_millisecond(anchor_at)?,
        };
        let (claimed, made) = decide(&job)?;
        sqlx::query("update jobs set due_at = $3, start_at = $4 where estate = $1 and name = $2")
            .bind(estate)
            .bind(&job.name)
            .bind(claimed.due_at.map(Timestamp::as_millisecond))
            .bind(claimed.start_at.map(Timestamp::as_millisecond))
            .execute(&mut *transaction)
            .await?;
        let Some(new) = claimed.run else {
            transaction.commit().await?;
            return Ok(Some((job, made, None)));
        };
        let reserved = self.reserve(&new.id)?;
        let watch = super::lease::watch();
        self.insert_run(&mut transaction, &new).await?;
        transaction.commit().await?;
        Ok(Some((job, made, Some(self.own(&new.id, 1, reserved, watch)))))
    }
}
