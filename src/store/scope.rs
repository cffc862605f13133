//! Whose what is stored is: an estate in one account and Region.

use sqlx::AnyConnection;

/// An estate in one account and Region. The sandbox is not AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The estate's name.
    pub estate: &'a str,
    /// The AWS account.
    pub account: &'a str,
    /// The AWS Region.
    pub region: &'a str,
    /// Whether it is the sandbox.
    pub simulated: bool,
}

/// Takes over what was written before accounts and Regions were: whoever works on the estate first, in the account that
/// it was written in where that is known.
pub(super) async fn adopt(connection: &mut AnyConnection, scope: Scope<'_>) -> Result<(), sqlx::Error> {
    const STATEMENTS: [&str; 3] = [
        "update baselines set account = $1, region = $2
         where estate = $3 and simulated = $4 and region = '' and account in ('', $1)
           and not exists (select 1 from baselines known where known.estate = $3 and known.simulated = $4
                           and known.account = $1 and known.region = $2 and known.target = baselines.target)",
        "update alerts set account = $1, region = $2
         where estate = $3 and simulated = $4 and region = '' and account in ('', $1)
           and not exists (select 1 from alerts known where known.estate = $3 and known.simulated = $4
                           and known.account = $1 and known.region = $2 and known.target = alerts.target
                           and known.check_id = alerts.check_id)",
        "update jobs set account = $1, region = $2
         where estate = $3 and simulated = $4 and region = '' and account in ('', $1)
           and not exists (select 1 from jobs known where known.estate = $3 and known.simulated = $4
                           and known.account = $1 and known.region = $2 and known.name = jobs.name)",
    ];
    for sql in STATEMENTS {
        let update = sqlx::query(sql).bind(scope.account).bind(scope.region).bind(scope.estate);
        update.bind(i64::from(scope.simulated)).execute(&mut *connection).await?;
    }
    Ok(())
}
