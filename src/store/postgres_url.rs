//! The address of a PostgreSQL server: whom it is shown to, and how far the server is trusted.

use std::borrow::Cow;
use std::net::IpAddr;
use std::str::FromStr;

use sqlx::any::AnyConnectOptions;

/// What names a server in the environment, the first first, where an address does not (libpq's variables).
const HOST_VARIABLES: [&str; 2] = ["PGHOSTADDR", "PGHOST"];

/// How to connect: with a certificate that is verified, for whom the address does not say otherwise by `sslmode`. A server on
/// this machine need not have one.
pub(super) fn options(url: &str) -> Result<AnyConnectOptions, sqlx::Error> {
    let host = HOST_VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    verified(url, host.as_deref())
}

fn verified(url: &str, host_of_environment: Option<&str>) -> Result<AnyConnectOptions, sqlx::Error> {
    let mut options = AnyConnectOptions::from_str(url)?;
    let url = &mut options.database_url;
    let value = |names: [&str; 2]| {
        url.query_pairs().filter(|(name, _)| names.contains(&name.as_ref())).last().map(|(_, value)| value.into_owned())
    };
    if value(["sslmode", "ssl-mode"]).is_some() {
        return Ok(options);
    }
    let named = value(["host", "hostaddr"]).map(Cow::Owned).or_else(|| url.host_str().map(Cow::Borrowed));
    if !named.as_deref().or(host_of_environment).is_none_or(is_here) {
        url.query_pairs_mut().append_pair("sslmode", "verify-full");
    }
    Ok(options)
}

/// Whether a host is this machine, or a socket's folder.
fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty()
        || host.starts_with('/')
        || host.starts_with("%2F")
        || host.starts_with("%2f")
        || host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `postgres://user:password@host/database` without the password, and without what follows `?`.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "a database".to_owned() };
    // A password may hold a question mark, a host may not hold an at sign.
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let host = host.split('?').next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{}@{host}", user.split(':').next().unwrap_or_default()),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_password("postgres://a:b@c:5432/d?sslmode=require"), "postgres://a@c:5432/d");
        assert_eq!(without_password("postgres://a:b?c@d/e"), "postgres://a@d/e");
        assert_eq!(without_password("postgres://c/d?password=b"), "postgres://c/d");
    }

    #[test]
    fn the_certificate_of_another_machine_is_verified_unless_the_address_says_otherwise() {
        let mode = |url: &str, host: Option<&str>| {
            let url = verified(url, host).unwrap().database_url;
            let modes: Vec<_> =
                url.query_pairs().filter(|(name, _)| name == "sslmode").map(|(_, mode)| mode.into_owned()).collect();
            assert!(modes.len() <= 1, "{url}");
            modes.into_iter().next()
        };
        let full = Some("verify-full".to_owned());
        for remote in [
            "postgres://u:p@db.example.com/d",
            "postgresql://u@10.0.0.7:5432/d?sslrootcert=/etc/rds.pem",
            "postgres://u@127.0.0.1/d?host=db.example.com",
            "postgres://u@localhost/d?hostaddr=10.0.0.7",
            "postgres://u@[2001:db8::1]/d",
            "postgres://u@localhost.example.com/d",
        ] {
            assert_eq!(mode(remote, None), full, "{remote}");
        }
        assert_eq!(mode("postgres:///d", Some("db.example.com")), full);
        for here in [
            "postgres://u@127.0.0.1/d",
            "postgres://u@[::1]/d",
            "postgres://u@localhost/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u@db.example.com/d?host=/run/postgresql",
        ] {
            assert_eq!(mode(here, None), None, "{here}");
        }
        assert_eq!(mode("postgres:///d", None), None);
        assert_eq!(mode("postgres://u@db.example.com/d?sslmode=require", None), Some("require".to_owned()));
        let kept = verified("postgres://u:p%40@db.example.com/d", None).unwrap().database_url;
        assert_eq!(kept.as_str(), "postgres://u:p%40@db.example.com/d?sslmode=verify-full");
    }
}
