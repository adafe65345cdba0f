//! Asking a list of breached passwords by range (AUTH-2), beside the offline filter: five digits of a hash go out, a few
//! hundred endings of hashes come back, and the comparison is made here.
//!
//! A list that is away never keeps anybody from choosing a password: the offline filter has looked already.

use std::time::Duration;

use base::Secret;
use bytes::Bytes;
use crypto::password::range_key;
use http::Request;
use outbound::{Outbound, Tls};

use crate::Error;

/// Whoever chooses a password does not wait longer than this.
const TIMEOUT: Duration = Duration::from_secs(2);
/// A range has about a thousand lines of forty bytes; padding doubles that at most.
const MAX_ANSWER: usize = 256 * 1024;

/// A keeper of such a list.
pub(crate) struct Ranges {
    client: Outbound,
    base: String,
}

impl Ranges {
    /// `origin` such as `https://api.pwnedpasswords.com`; ranges are below `/range/`.
    pub(crate) fn open(origin: &str) -> Result<Self, Error> {
        let client = Outbound::new(&Tls::default(), TIMEOUT, MAX_ANSWER).map_err(|_| {
            Error::Settings("accounts.breach_api cannot be asked: no certificates are trusted")
        })?;
        Ok(Self { client, base: format!("{}/range/", origin.trim_end_matches('/')) })
    }

    /// Whether the list has the password; `false` where the list does not answer.
    pub(crate) async fn know(&self, password: &Secret<String>) -> bool {
        let key = range_key(password);
        match self.ask(&key.prefix).await {
            Ok(answer) => has(&answer, &key.suffix),
            Err(reason) => {
                metrics::counter!("identity_breach_api_failed_total").increment(1);
                tracing::warn!(
                    reason,
                    "the list of breached passwords was not asked; the offline filter was"
                );
                false
            }
        }
    }

    async fn ask(&self, prefix: &str) -> Result<Bytes, String> {
        // Padding hides from whoever sees the length of the answer which range it was.
        let request = Request::get(format!("{}{prefix}", self.base)).header("add-padding", "true");
        let request = request.body(Bytes::new()).map_err(|error| error.to_string())?;
        let answer = self.client.send(request).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            Ok(answer.into_body())
        } else {
            Err(format!("answered {}", answer.status()))
        }
    }
}

/// Lines of `SUFFIX:COUNT`; a count of zero is padding.
fn has(answer: &[u8], suffix: &str) -> bool {
    answer.split(|byte| *byte == b'\n').any(|line| {
        let Some((found, count)) =
            std::str::from_utf8(line).ok().and_then(|line| line.trim().split_once(':'))
        else {
            return false;
        };
        found.eq_ignore_ascii_case(suffix) && count.trim().parse::<u64>().is_ok_and(|count| count > 0)
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Of `password`.
    const SUFFIX: &str = "1E4C9B93F3F0682250B6CF8331B7EE68FD8";

    /// Answers one request; gives what was asked.
    async fn keeper(answer: String) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let read = socket.read(&mut request).await.unwrap();
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        (origin, asked)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    async fn knows(answer: String) -> (bool, String) {
        let (origin, asked) = keeper(answer).await;
        let known = Ranges::open(&origin).unwrap().know(&Secret::new("password".to_owned())).await;
        (known, asked.await.unwrap())
    }

    #[tokio::test]
    async fn five_digits_go_out_and_the_comparison_is_made_here() {
        let body = format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{SUFFIX}:9659365\r\n");
        let (known, asked) = knows(ok(&body)).await;
        assert!(known);
        assert!(
            asked.starts_with("GET /range/5BAA6 HTTP/1.1\r\n") && asked.contains("add-padding: true"),
            "{asked}"
        );
        assert!(!asked.contains("1E4C9") && !asked.to_lowercase().contains("password"), "{asked}");
    }

    #[tokio::test]
    async fn what_is_not_in_the_list_is_padding_or_no_answer_is_taken() {
        let body = format!("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{SUFFIX}:0\r\n");
        assert!(!knows(ok(&body)).await.0, "padding");
        assert!(!knows(ok("<html>\u{fffd}:::\n:\n")).await.0, "nonsense");
        let refused =
            "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
        assert!(!knows(refused).await.0);
        let nobody = Ranges::open("http://127.0.0.1:1").unwrap();
        assert!(!nobody.know(&Secret::new("password".to_owned())).await);
    }
}
