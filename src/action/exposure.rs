//! That a copy cannot be reached from the internet: read back, before anybody connects.

use super::source::Source;
use crate::estate::Database;
use crate::runbook::{Environment, Failure};

/// Looks at a copy and, where it is a cluster, at each of its instances.
///
/// # Errors
/// Where one can be reached from the internet.
pub(super) async fn check(
    environment: &Environment,
    database: &Database,
    id: &str,
    copy: &Source,
) -> Result<(), Failure> {
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
        // AWS always says so of an instance. It was sent; an endpoint that does not tell it back says nothing against it.
        None => {
            tracing::warn!(resource = id, "the answer does not say whether it can be reached from the internet");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_reached_from_the_internet_is_not_connected_to() {
        assert!(judge("x", Some(false)).is_ok());
        assert_eq!(judge("x", Some(true)).map_err(|failure| failure.state), Err(crate::store::RunState::Failed));
    }
}
