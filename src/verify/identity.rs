//! Who answered: whether what a server says of itself fits the copy. It matters behind a tunnel without a verified name, where
//! any server could stand, production's too.

use std::net::{IpAddr, Ipv4Addr};

/// What is known of who answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// It is the copy.
    Agrees,
    /// It is somebody else.
    Differs(String),
    /// It cannot be told.
    Unknown(String),
}

/// Compares what a server says of itself with the copy's own endpoint.
pub(super) async fn check(said: Option<&str>, endpoint: &str, port: u16) -> Identity {
    let Some(said) = said else { return Identity::Unknown("the server does not say where it is".to_owned()) };
    let addresses: Vec<IpAddr> = match tokio::net::lookup_host((endpoint, port)).await {
        Ok(addresses) => addresses.map(|address| address.ip()).collect(),
        Err(_) => Vec::new(),
    };
    compare(said, endpoint, &addresses)
}

/// `said` is an address, a name, or a host of EC2's, such as `ip-10-0-0-7`.
fn compare(said: &str, endpoint: &str, addresses: &[IpAddr]) -> Identity {
    if said.eq_ignore_ascii_case(endpoint) {
        return Identity::Agrees;
    }
    if addresses.is_empty() {
        return Identity::Unknown(format!("`{endpoint}` has no address here to compare `{said}` with"));
    }
    match said.parse().ok().or_else(|| of_host(said)) {
        Some(address) if addresses.contains(&address) => Identity::Agrees,
        Some(address) => Identity::Differs(format!("the server says that it is at {address}, not at `{endpoint}`")),
        None => Identity::Unknown(format!("the server calls itself `{said}`, which says nothing about `{endpoint}`")),
    }
}

/// The address in the name that EC2 gives a host; RDS's MySQL shows it as `@@hostname`.
fn of_host(name: &str) -> Option<IpAddr> {
    let label = name.split('.').next()?.strip_prefix("ip-")?;
    let parts: Vec<u8> = label.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    <[u8; 4]>::try_from(parts).ok().map(|parts| IpAddr::V4(Ipv4Addr::from(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_the_copy_where_it_says_so() {
        let at: Vec<IpAddr> = vec!["10.0.0.7".parse().unwrap()];
        let name = "drctl-1.x.eu-west-1.rds.amazonaws.com";
        assert_eq!(compare("10.0.0.7", name, &at), Identity::Agrees);
        assert_eq!(compare("ip-10-0-0-7", name, &at), Identity::Agrees);
        assert_eq!(compare("ip-10-0-0-7.eu-west-1.compute.internal", name, &at), Identity::Agrees);
        assert_eq!(compare(name, name, &[]), Identity::Agrees);
        assert!(matches!(compare("10.0.0.8", name, &at), Identity::Differs(_)));
        assert!(matches!(compare("ip-10-0-0-9", name, &at), Identity::Differs(_)));
        assert!(matches!(compare("db.internal", name, &at), Identity::Unknown(_)));
        assert!(matches!(compare("10.0.0.7", name, &[]), Identity::Unknown(_)));
    }
}
