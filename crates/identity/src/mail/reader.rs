//! A message of the outbox, for people: decoded, without the transport's dress.

use base::Secret;

/// What a person wants to see of a message.
#[derive(Debug)]
pub struct ReadableLetter {
    /// Addressee.
    pub to: Secret<String>,
    /// Subject line.
    pub subject: String,
    /// The plain text, with links as they are.
    pub text: Secret<String>,
}

impl ReadableLetter {
    /// Decodes RFC 5322 text with MIME parts. `None` if it is not a message with a text.
    pub fn decode(message: &Secret<String>) -> Option<Self> {
        let parsed = mail_parser::MessageParser::default().parse(message.expose_bytes())?;
        let to = parsed.to().and_then(|to| to.first()).and_then(|to| to.address()).unwrap_or("");
        Some(Self {
            to: Secret::new(to.to_owned()),
            subject: parsed.subject().unwrap_or("").to_owned(),
            text: Secret::new(parsed.body_text(0)?.into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_printable_links_come_back_whole() {
        let source = "From: a@example.com\r\nTo: ada@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\nhttps://x.example/verify?code=3Dab=\r\ncd\r\n--b\r\n\
            Content-Type: text/html\r\n\r\n<p>x</p>\r\n--b--\r\n";
        let letter = ReadableLetter::decode(&Secret::new(source.to_owned())).unwrap();
        assert_eq!(letter.subject, "Grüße");
        assert_eq!(letter.to.expose(), "ada@example.com");
        assert_eq!(letter.text.expose().trim(), "https://x.example/verify?code=abcd");
    }
}
