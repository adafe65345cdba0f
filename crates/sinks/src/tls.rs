//! TLS towards the other side.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Whom to trust, and how to show who we are.
#[derive(Clone, Default)]
pub struct TlsConfig {
    /// PEM certificates of the private authority; then only that one is trusted. `None`: the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM chain and PEM key of our own certificate.
    pub client: Option<ClientCertificate>,
}

/// Our own certificate.
#[derive(Clone)]
pub struct ClientCertificate {
    /// PEM: our certificate first, then its chain.
    pub chain_pem: Vec<u8>,
    /// PEM: the private key.
    pub key_pem: Arc<base::Secret<Vec<u8>>>,
}

impl std::fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "TlsConfig(private authority: {}, certificate: {})",
            self.ca_pem.is_some(),
            self.client.is_some()
        )
    }
}

impl TlsConfig {
    /// The configuration for rustls. `only_13` refuses what is older than TLS 1.3.
    ///
    /// # Errors
    /// A sentence that names the part which is not usable.
    pub(crate) fn client_config(&self, only_13: bool) -> Result<ClientConfig, String> {
        let versions: &[&rustls::SupportedProtocolVersion] = if only_13 {
            &[&rustls::version::TLS13]
        } else {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let Some(own) = &self.client else { return Ok(builder.with_no_client_auth()) };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&own.chain_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("client_cert: {error}"))?;
        if chain.is_empty() {
            return Err("client_cert: no certificate in it".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(own.key_pem.expose())
            .map_err(|error| format!("client_key: {error}"))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| format!("client_key: {error}"))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca_pem {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| format!("ca_file: {error}"))?;
                    roots.add(certificate).map_err(|error| format!("ca_file: {error}"))?;
                }
                if roots.is_empty() {
                    return Err("ca_file: no certificate in it".to_owned());
                }
            }
            None => {
                // A machine has odd certificates now and then; the usable ones count.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}
