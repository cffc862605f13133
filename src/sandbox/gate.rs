//! Who may speak to the sandbox: programs of this machine. A web page that somebody looks at on this machine is none of
//! them: it can send requests to loopback as well, by its own origin or by a name that resolves to 127.0.0.1.

use axum::http::{HeaderMap, Method};

use crate::aws::is_loopback;

/// The header that a request to `/_drctl/` has to carry. A web page cannot set it without being asked for permission first.
const CONTROL_HEADER: &str = "x-drctl-control";

/// Refuses what a browser sends on behalf of a page, and every name that is not this machine's own.
pub(super) fn check_local(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key("origin") {
        return Err("the sandbox answers no web pages: the request carries an `Origin`");
    }
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_loopback(host) {
        Ok(())
    } else {
        Err("the sandbox answers only to a `Host` of loopback, such as 127.0.0.1 or localhost")
    }
}

/// What `/_drctl/` asks for besides [`check_local`].
pub(super) fn check_control(method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.get(CONTROL_HEADER).is_none_or(|value| value.as_bytes() != b"1") {
        return Err("`/_drctl/` asks for the header `x-drctl-control: 1`");
    }
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if *method == Method::POST && !media_type.eq_ignore_ascii_case("application/json") {
        return Err("`/_drctl/` takes `content-type: application/json` only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
    }

    #[test]
    fn only_names_of_loopback_are_answered() {
        for host in ["127.0.0.1:4566", "localhost", "LOCALHOST:1", "[::1]:4566", "127.1.2.3"] {
            assert_eq!(check_local(&headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in
            ["", "evil.example:4566", "localhost.evil.example", "10.0.0.1", "[fe80::1]:1", "127.0.0.1.evil.example"]
        {
            assert!(check_local(&headers(&[("host", host)])).is_err(), "{host}");
        }
        assert!(check_local(&HeaderMap::new()).is_err());
        assert!(check_local(&headers(&[("host", "localhost"), ("origin", "null")])).is_err());
    }

    #[test]
    fn the_control_path_asks_for_its_header_and_for_json() {
        let json = headers(&[(CONTROL_HEADER, "1"), ("content-type", "application/json; charset=utf-8")]);
        assert_eq!(check_control(&Method::POST, &json), Ok(()));
        assert_eq!(check_control(&Method::GET, &headers(&[(CONTROL_HEADER, "1")])), Ok(()));
        assert!(check_control(&Method::POST, &headers(&[(CONTROL_HEADER, "1")])).is_err());
        assert!(check_control(&Method::POST, &headers(&[("content-type", "application/json")])).is_err());
        let text = headers(&[(CONTROL_HEADER, "1"), ("content-type", "text/plain")]);
        assert!(check_control(&Method::POST, &text).is_err());
    }
}
