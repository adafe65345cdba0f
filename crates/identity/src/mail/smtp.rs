//! Delivery over SMTP.

use std::net::IpAddr;
use std::time::Duration;

use base::Email;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::Error;
use crate::mail::deliver::DeliveryError;
use crate::mail::mailer::{SmtpConfig, SmtpSecurity};

/// A mail server, with a small pool of connections.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    timeout: Duration,
}

impl Smtp {
    /// Checks the settings; connects at the first message only, because a mail server that is away must not keep the
    /// gateway from starting.
    pub(crate) fn open(config: SmtpConfig) -> Result<Self, Error> {
        let verified = || {
            let mut parameters = TlsParameters::builder(config.host.clone());
            if let Some(pem) = &config.ca_pem {
                let own = Certificate::from_pem(pem)
                    .map_err(|_| Error::Settings("mail.ca_file is not a PEM file with certificates"))?;
                parameters = parameters.add_root_certificate(own);
            }
            parameters.build().map_err(|_| {
                Error::Settings("the mail server's host name is not one that a certificate can name")
            })
        };
        let tls = match config.security {
            SmtpSecurity::Tls => Tls::Wrapper(verified()?),
            SmtpSecurity::StartTls => Tls::Required(verified()?),
            SmtpSecurity::Plain if is_loopback(&config.host) => Tls::None,
            SmtpSecurity::Plain => {
                return Err(Error::Settings(
                    "a mail server without TLS is allowed on this machine (localhost) only",
                ));
            }
        };
        let timeout = Duration::from_millis(config.timeout_ms.max(1));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(timeout));
        if let Some((user, password)) = config.login {
            builder = builder.credentials(Credentials::new(user, password.expose().clone()));
        }
        Ok(Self { transport: builder.build(), timeout })
    }

    /// Sends one message; the server's words stay out of the error, because they repeat the address.
    pub(crate) async fn send(&self, from: &Mailbox, to: &Email, message: &[u8]) -> Result<(), DeliveryError> {
        let to = to
            .as_str()
            .parse()
            .map_err(|_| DeliveryError::Never("the address is not one for mail".into()))?;
        let envelope = Envelope::new(Some(from.email.clone()), vec![to])
            .map_err(|_| DeliveryError::Never("the message has no envelope".into()))?;
        match tokio::time::timeout(self.timeout, self.transport.send_raw(&envelope, message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(classified(&error)),
            Err(_) => Err(DeliveryError::Later("the mail server did not answer in time".into())),
        }
    }
}

fn classified(error: &lettre::transport::smtp::Error) -> DeliveryError {
    let code = error.status().map(|code| format!("the mail server answered {code}"));
    match code {
        // 530–535 are about our own login, which the operator can mend.
        Some(text) if error.is_permanent() && !text.contains(" 53") => DeliveryError::Never(text),
        Some(text) => DeliveryError::Later(text),
        None if error.is_timeout() => DeliveryError::Later("the mail server did not answer in time".into()),
        None if error.is_tls() => DeliveryError::Later("the mail server's certificate or TLS failed".into()),
        // What lettre itself finds wanting: it never goes on in the clear, and shows no password where none is asked for.
        None if error.is_client() => DeliveryError::Later(
            "the mail server does not offer what the settings demand (STARTTLS, signing in)".into(),
        ),
        None => DeliveryError::Later("the mail server cannot be reached or broke off".into()),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_smtp_is_for_this_machine_only() {
        let config = |host: &str| SmtpConfig {
            ca_pem: None,
            host: host.into(),
            port: 25,
            security: SmtpSecurity::Plain,
            login: None,
            timeout_ms: 1_000,
        };
        for near in ["localhost", "127.0.0.1", "::1"] {
            assert!(Smtp::open(config(near)).is_ok(), "{near}");
        }
        for far in ["mail.example.com", "10.0.0.1", "localhost.example.com"] {
            assert!(Smtp::open(config(far)).is_err(), "{far}");
        }
    }
}
