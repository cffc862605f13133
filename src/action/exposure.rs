//! That a copy cannot be reached from the internet: read back, before anybody connects.

use super::point::Promise;
use super::source::DatabaseDescription;
use crate::context::AppContext;
use crate::estate::{Database, DatabaseKind};
use crate::runbook::Failure;
use crate::verify::Outcome;

/// Looks at a copy and, where it is a cluster, at each of its instances. Where AWS does not say, that is told.
///
/// # Errors
/// Where one can be reached from the internet.
pub(super) async fn check(
    app: &AppContext,
    database: &Database,
    id: &str,
    copy: &DatabaseDescription,
) -> Result<Option<Promise>, Failure> {
    if database.kind == DatabaseKind::Documentdb {
        // It has no public endpoints ("PubliclyAccessible: not supported", DocumentDB's API reference).
        return Ok(None);
    }
    if !database.kind.is_cluster() {
        return judge(id, copy.publicly_accessible);
    }
    // A cluster itself is only asked where it says something: Aurora does not.
    if copy.publicly_accessible == Some(true) {
        return judge(id, Some(true));
    }
    let mut untold = None;
    for member in &copy.members {
        let found = app.aws.instance(member).await?;
        untold = untold.or(judge(member, found.and_then(|instance| instance.publicly_accessible))?);
    }
    Ok(untold)
}

fn judge(id: &str, public: Option<bool>) -> Result<Option<Promise>, Failure> {
    match public {
        Some(false) => Ok(None),
        Some(true) => {
            let message = format!("`{id}` can be reached from the internet: nobody connects to it, and it is removed");
            Err(Failure::failed(message, "somebody or something changed the copy: look at CloudTrail"))
        }
        // It was told to be private, and AWS always says of an instance whether it is.
        None => Ok(Some(Promise {
            name: "private".to_owned(),
            outcome: Outcome::Unknown,
            found: format!("the answer does not say whether `{id}` can be reached from the internet"),
            fix: Some("look at `PubliclyAccessible` in `aws rds describe-db-instances`".to_owned()),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_reached_from_the_internet_is_not_connected_to() {
        assert!(matches!(judge("x", Some(false)), Ok(None)));
        assert_eq!(judge("x", Some(true)).map_err(|failure| failure.state), Err(crate::store::RunState::Failed));
        assert!(matches!(judge("x", None), Ok(Some(Promise { outcome: Outcome::Unknown, .. }))));
    }
}
