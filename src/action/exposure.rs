//! That a copy cannot be reached from the internet: read back, before anybody connects.

use super::source::Source;
use crate::estate::{Database, DatabaseKind};
use crate::runbook::{Environment, Failure};
use crate::store::RunState;

/// Looks at a copy and, where it is a cluster, at each of its instances.
///
/// # Errors
/// Where one can be reached from the internet, or AWS does not say.
pub(super) async fn check(
    environment: &Environment,
    database: &Database,
    id: &str,
    copy: &Source,
) -> Result<(), Failure> {
    if database.kind == DatabaseKind::Documentdb {
        // It has no public endpoints ("PubliclyAccessible: not supported", DocumentDB's API reference).
        return Ok(());
    }
    if !database.kind.is_cluster() {
        return judge(id, copy.publicly_accessible);
    }
    // A cluster itself is only asked where it says something: Aurora and DocumentDB do not.
    if copy.publicly_accessible == Some(true) {
        return judge(id, Some(true));
    }
    for member in &copy.members {
        let found = environment.aws.instance(member).await?;
        judge(member, found.and_then(|instance| instance.publicly_accessible))?;
    }
    Ok(())
}

fn judge(id: &str, public: Option<bool>) -> Result<(), Failure> {
    match public {
        Some(false) => Ok(()),
        Some(true) => {
            let message = format!("`{id}` can be reached from the internet: nobody connects to it, and it is removed");
            Err(Failure::failed(message, "somebody or something changed the copy: look at CloudTrail"))
        }
        None => {
            let error = anyhow::anyhow!("AWS does not say whether `{id}` can be reached from the internet");
            Err(Failure::new(RunState::Unknown, error, "look at it with `aws rds describe-db-instances`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_reached_from_the_internet_is_not_connected_to() {
        assert!(judge("x", Some(false)).is_ok());
        assert_eq!(judge("x", Some(true)).map_err(|failure| failure.state), Err(RunState::Failed));
        assert_eq!(judge("x", None).map_err(|failure| failure.state), Err(RunState::Unknown));
    }
}
