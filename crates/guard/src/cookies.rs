//! Our own cookies among others'.

use base::Language;
use http::header::{ACCEPT_LANGUAGE, COOKIE};
use http::{HeaderMap, HeaderValue};

/// The name of the session cookie. The prefix makes browsers demand `Secure`, `Path=/` and no `Domain` (RFC 6265bis §4.1.3).
pub const SESSION_COOKIE: &str = "__Host-fortissimo";

/// The name of the cookie that tells a browser from others, whoever is signed in.
pub const DEVICE_COOKIE: &str = "__Host-fortissimo-device";

/// The name of the cookie that ties a sign-in between its factors to the browser that began it.
pub const CHALLENGE_COOKIE: &str = "__Host-fortissimo-challenge";

/// The name of the cookie with the language that somebody chose on the pages.
pub const LANGUAGE_COOKIE: &str = "__Host-fortissimo-language";

/// All cookies whose names begin like this are ours: they reach no upstream, and no upstream may set them.
const OURS: &str = "__Host-fortissimo";

/// The pairs of a Cookie header, as bytes: a cookie with bytes beyond ASCII beside ours must not hide ours.
fn pairs(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// The session cookie's value. Two different ones are none: somebody is playing.
pub(crate) fn session(headers: &HeaderMap) -> Option<&str> {
    value(headers, SESSION_COOKIE)
}

/// The device cookie's value, as it came.
pub(crate) fn device(headers: &HeaderMap) -> Option<&str> {
    value(headers, DEVICE_COOKIE)
}

/// The cookie of a half sign-in, as it came.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<&str> {
    value(headers, CHALLENGE_COOKIE)
}

/// The language to answer in: the one that was chosen, else the one that the browser asks for.
pub(crate) fn language(headers: &HeaderMap) -> Option<Language> {
    value(headers, LANGUAGE_COOKIE)
        .and_then(Language::of)
        .or_else(|| headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(Language::accepted))
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut found = None;
    for pair in headers.get_all(COOKIE).iter().flat_map(pairs) {
        let value = pair.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        if let Some(value) = value {
            if found.is_some_and(|earlier| earlier != value) {
                return None;
            }
            found = Some(value);
        }
    }
    found.and_then(|value| std::str::from_utf8(value).ok())
}

fn is_ours(cookie: &[u8]) -> bool {
    cookie.len() >= OURS.len() && cookie[..OURS.len()].eq_ignore_ascii_case(OURS.as_bytes())
}

/// Takes our cookies out of a request.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    if !headers.get_all(COOKIE).iter().flat_map(pairs).any(is_ours) {
        return;
    }
    let kept: Vec<&[u8]> =
        headers.get_all(COOKIE).iter().flat_map(pairs).filter(|pair| !is_ours(pair)).collect();
    let kept = kept.join(&b"; "[..]);
    headers.remove(COOKIE);
    if let Ok(value) = HeaderValue::from_bytes(&kept)
        && !kept.is_empty()
    {
        headers.insert(COOKIE, value);
    }
}

/// Takes out of an upstream's answer what would set one of our cookies.
pub(crate) fn strip_response(headers: &mut HeaderMap) {
    use http::header::SET_COOKIE;
    // A cookie without a name (`=__Host-fortissimo=x`) is sent back as its value alone, which reads like ours.
    let ours = |value: &HeaderValue| {
        let start = value.as_bytes().iter().position(|byte| *byte != b'=' && !byte.is_ascii_whitespace());
        is_ours(&value.as_bytes()[start.unwrap_or(0)..])
    };
    if !headers.get_all(SET_COOKIE).iter().any(ours) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(SET_COOKIE).iter().filter(|value| !ours(value)).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn finds_one_session_and_no_more() {
        assert_eq!(session(&with(&["a=1; __Host-fortissimo=s; b=2"])), Some("s"));
        assert_eq!(session(&with(&["a=1", "__Host-fortissimo=s"])), Some("s"));
        assert_eq!(session(&with(&["__Host-fortissimo=s; __Host-fortissimo=t"])), None);
        assert_eq!(session(&with(&["x__Host-fortissimo=s; fortissimo=t"])), None);
        assert_eq!(session(&HeaderMap::new()), None);
    }

    #[test]
    fn what_was_chosen_comes_before_what_the_browser_asks_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(language(&headers), None);
        headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static("de-AT, en;q=0.5"));
        assert_eq!(language(&headers), Some(Language::German));
        headers.insert(COOKIE, HeaderValue::from_static("__Host-fortissimo-language=en"));
        assert_eq!(language(&headers), Some(Language::English));
        headers.insert(COOKIE, HeaderValue::from_static("__Host-fortissimo-language=xx"));
        assert_eq!(language(&headers), Some(Language::German));
    }

    #[test]
    fn upstreams_never_see_ours() {
        let mut headers = with(&["a=1; __Host-fortissimo=s; b=2", "__host-fortissimo-csrf=t"]);
        strip_request(&mut headers);
        assert_eq!(headers[COOKIE], "a=1; b=2");
        let mut headers = with(&["__Host-fortissimo=s"]);
        strip_request(&mut headers);
        assert!(!headers.contains_key(COOKIE));
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(b"x=\xff; __Host-fortissimo=s").unwrap());
        assert_eq!(session(&headers), Some("s"));
        strip_request(&mut headers);
        assert_eq!(headers[COOKIE].as_bytes(), b"x=\xff", "bytes beyond ASCII hide nothing");
    }

    #[test]
    fn upstreams_cannot_set_ours() {
        use http::header::SET_COOKIE;
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("own=1"));
        headers.append(SET_COOKIE, HeaderValue::from_static(" __Host-fortissimo=evil; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static(" = __Host-fortissimo=evil; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("="));
        strip_response(&mut headers);
        assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["own=1", "="]);
    }
}
