//! Which pages may use the API: the one that this address serves, and no other.
//!
//! A page of another site can send requests here, too; the browser says so. Together with
//! the token in a header, which makes a browser ask before it sends anything (and nothing
//! answers that, as there is no CORS), this is the second of two locks.

use hyper::HeaderMap;
use hyper::header::{HOST, ORIGIN};

/// Whether the headers are those of the page of this address, or of no browser. The Host
/// has been checked by [`super::host`].
pub fn is_own(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    let is_foreign = |site: &[u8]| !matches!(site, b"same-origin" | b"none");
    if sites.any(|site| is_foreign(site.as_bytes())) {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => {
            let host = headers.get(HOST).map(|host| host.as_bytes());
            let own = origin.as_bytes().strip_prefix(b"http://");
            own.is_some_and(|own| host.is_some_and(|host| own.eq_ignore_ascii_case(host)))
        }
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_own(fields: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost:9300".parse().expect("a header"));
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a header"));
        }
        super::is_own(&headers)
    }

    #[test]
    fn the_own_page_and_programs_are_answered() {
        assert!(is_own(&[]));
        assert!(is_own(&[("origin", "http://localhost:9300")]));
        assert!(is_own(&[("origin", "http://LOCALHOST:9300")]));
        assert!(is_own(&[("sec-fetch-site", "same-origin")]));
        assert!(is_own(&[("sec-fetch-site", "none")]));
    }

    #[test]
    fn others_are_not() {
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://localhost:9301",
            "https://localhost:9300",
            "http://127.0.0.1:9300",
            "http://localhost:9300.example.com",
            "http://example.com",
            "localhost:9300",
        ] {
            assert!(!is_own(&[("origin", origin)]), "{origin:?}");
        }
        for site in ["cross-site", "same-site", "", "something"] {
            assert!(!is_own(&[("sec-fetch-site", site)]), "{site:?}");
        }
        let own = ("origin", "http://localhost:9300");
        assert!(!is_own(&[own, own]));
        assert!(!is_own(&[own, ("sec-fetch-site", "cross-site")]));
    }
}
