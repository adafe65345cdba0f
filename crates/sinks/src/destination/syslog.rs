//! Syslog: RFC 5424 messages over TLS 1.3 with octet counting (RFC 5425).
//!
//! Syslog has no acknowledgement: bytes that were written may lie in a buffer of a receiver that is about to be
//! killed. So a batch has a connection of its own, and counts as taken only when the receiver has answered our
//! `close_notify` with its own, which it does after it has read everything before. A receiver that breaks off gets
//! the batch again, with the same keys.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Surroundings, SyslogConfig, Trouble, Verdict, all};
use crate::form::{Record, Writer};

/// "Log audit" of RFC 5424.
const FACILITY: u8 = 13;
/// RFC 5612 reserves this enterprise number for documentation; ours is not registered.
const ENTERPRISE: u32 = 32_473;
/// Every receiver takes this much (RFC 5425).
pub(crate) const LEAST_MESSAGE: usize = 2_048;

pub(crate) struct Syslog {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    timeout: Duration,
    max_message: usize,
    frame: Frame,
}

/// What is the same in every message.
struct Frame {
    host: String,
    json: bool,
}

impl Syslog {
    pub(super) fn open(config: &SyslogConfig, around: &Surroundings) -> Result<Self, String> {
        let name = ServerName::try_from(config.host.clone())
            .map_err(|_| "address: expected a host name or network address and a port".to_owned())?;
        let mut tls = config.tls.client_config(true)?;
        // rsyslog over OpenSSL names no session context and refuses to resume a session with a client certificate.
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            name,
            connector: TlsConnector::from(Arc::new(tls)),
            timeout: around.timeout,
            max_message: config.max_message.max(LEAST_MESSAGE),
            frame: Frame { host: plain(&config.origin, 255), json: Writer::is_json(&around.writer) },
        })
    }

    pub(super) async fn send(&mut self, records: &[&Record]) -> Result<Vec<Verdict>, Trouble> {
        let mut bytes = Vec::new();
        for record in records {
            let message = self.frame.message(record, self.max_message);
            bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
            bytes.extend_from_slice(&message);
        }
        match tokio::time::timeout(self.timeout, self.deliver(&bytes)).await {
            Ok(Ok(())) => Ok(all(records)),
            Ok(Err(error)) => Err(Trouble::later(error)),
            Err(_) => Err(Trouble::later(format!("not taken within {} ms", self.timeout.as_millis()))),
        }
    }

    async fn deliver(&self, bytes: &[u8]) -> Result<(), String> {
        let socket = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let mut tls = self
            .connector
            .connect(self.name.clone(), socket)
            .await
            .map_err(|error| format!("no TLS connection: {error}"))?;
        tls.write_all(bytes).await.map_err(|error| format!("broke off: {error}"))?;
        tls.shutdown().await.map_err(|error| format!("broke off: {error}"))?;
        let mut nothing = [0; 256];
        loop {
            match tls.read(&mut nothing).await {
                Ok(0) => return Ok(()),
                // A receiver has nothing to say; what it says all the same is not looked at.
                Ok(_) => {}
                Err(error) => return Err(format!("did not confirm: {error}")),
            }
        }
    }
}

impl Frame {
    /// `<PRI>1 TIMESTAMP HOST APP PROCID MSGID SD MSG` of at most `max` bytes.
    fn message(&self, record: &Record, max: usize) -> Vec<u8> {
        let priority = FACILITY * 8 + severity(record.severity);
        let index = record.index.map(|index| format!(" index=\"{index}\"")).unwrap_or_default();
        let head = format!(
            "<{priority}>1 {} {} fortissimo - {} [fortissimo@{ENTERPRISE} dedup=\"{}\"{index}] ",
            record.at.to_rfc3339(),
            self.host,
            plain(&record.kind, 32),
            quoted(&record.dedup),
        );
        let mut message = head.into_bytes();
        // The byte order mark says that what follows is UTF-8.
        message.extend_from_slice(b"\xef\xbb\xbf");
        if message.len() + record.text.len() <= max {
            message.extend_from_slice(record.text.as_bytes());
        } else if self.json {
            message.extend_from_slice(shortened(&record.text).as_bytes());
            message.truncate(max);
        } else {
            let room = record.text.floor_char_boundary(max.saturating_sub(message.len()));
            message.extend_from_slice(&record.text.as_bytes()[..room]);
        }
        message
    }
}

/// Without what is long, and saying so: half an object would be no JSON.
fn shortened(text: &str) -> String {
    let mut event: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(fields) = event.as_object_mut() {
        for long in ["unmapped", "http_request", "url", "user_agent", "fortissimo"] {
            fields.remove(long);
        }
        fields.insert("truncated".to_owned(), serde_json::json!(true));
    }
    event.to_string()
}

/// Syslog's severity for OCSF's: 0 is the worst.
const fn severity(ocsf: u8) -> u8 {
    match ocsf {
        0 | 1 => 6,
        2 => 5,
        3 => 4,
        4 => 3,
        5 => 2,
        _ => 1,
    }
}

/// Printable ASCII without spaces, as the header's fields want it; `-` for nothing.
fn plain(text: &str, max: usize) -> String {
    let clean: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}

/// Inside of structured data.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]")
}

#[cfg(test)]
mod tests {
    use base::Timestamp;

    use super::*;

    fn record(text: &str) -> Record {
        Record {
            dedup: "d:7".into(),
            index: Some(7),
            at: Timestamp::from_millis(1_767_323_045_678),
            kind: "session.signed_in".into(),
            severity: 4,
            text: text.into(),
        }
    }

    #[test]
    fn a_message_is_what_rfc_5424_wants() {
        let frame = Frame { host: "studio.example".into(), json: true };
        let message = frame.message(&record("{\"a\":1}"), 8_192);
        let wanted = "<107>1 2026-01-02T03:04:05.678Z studio.example fortissimo - session.signed_in \
                      [fortissimo@32473 dedup=\"d:7\" index=\"7\"] \u{feff}{\"a\":1}";
        assert_eq!(String::from_utf8(message).unwrap(), wanted);
    }

    #[test]
    fn a_long_message_stays_json_and_says_that_it_was_cut() {
        let frame = Frame { host: "h".into(), json: true };
        let long = serde_json::json!({ "time": 1, "unmapped": { "x": "y".repeat(9_000) } }).to_string();
        let message = String::from_utf8(frame.message(&record(&long), 2_048)).unwrap();
        assert!(message.len() <= 2_048);
        let (_, text) = message.split_once('\u{feff}').unwrap();
        let event: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(event, serde_json::json!({ "time": 1, "truncated": true }));
    }

    #[test]
    fn a_long_text_is_cut_on_a_character() {
        let frame = Frame { host: "h".into(), json: false };
        let message = frame.message(&record(&"é".repeat(4_000)), 2_048);
        assert!((2_046..=2_048).contains(&message.len()));
        assert!(String::from_utf8(message).is_ok());
    }
}
