//! RFC 3161 time stamps: somebody else's signed word that these bytes existed at a time.
//!
//! A request carries only the SHA-256 of the bytes. What comes back is checked completely before it counts: the
//! digest and the nonce are ours, the signature is that of the certificate which the token names, and that certificate
//! was issued for time stamping by an authority that the caller trusts, and valid at the stamped time.
//!
//! Fractions of seconds in the stamped time are not read: a token with them is refused.

use aws_lc_rs::digest;
use base::{Entropy, Timestamp};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Int, OctetString};
use der::oid::ObjectIdentifier;
use der::{Any, Decode, Encode, Sequence};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

use crate::mac::sha256;

/// A longer answer is refused.
pub const MAX_RESPONSE: usize = 64 * 1024;

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SUBJECT_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
/// id-kp-timeStamping, the encoded value of 1.3.6.1.5.5.7.3.8.
const TIME_STAMPING: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When the authority saw the digest, to the second.
    pub at: Timestamp,
    /// The token's number at the authority.
    pub serial: Vec<u8>,
    /// The policy under which it was made, an object identifier.
    pub policy: String,
}

/// Why a time stamp does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The authority did not give one.
    #[error("the authority refused: {0}")]
    Refused(String),
    /// The answer is not of the form.
    #[error("the time stamp is malformed: {0}")]
    Malformed(&'static str),
    /// It is for other bytes or another request.
    #[error("the time stamp is not for this: {0}")]
    Other(&'static str),
    /// It does not come from an authority that is trusted.
    #[error("the time stamp is not trusted: {0}")]
    Untrusted(String),
}

/// One request.
#[derive(Debug, Clone)]
pub struct StampRequest {
    digest: [u8; 32],
    nonce: Int,
    der: Vec<u8>,
}

impl StampRequest {
    /// A request for these bytes, with a fresh nonce.
    ///
    /// # Panics
    /// Never: a request of ours encodes.
    pub fn new(message: &[u8], entropy: &Entropy) -> Self {
        const OURS: &str = "a request of ours encodes";
        let digest = sha256(message);
        let mut nonce: [u8; 8] = entropy.bytes();
        // Positive and in its shortest form.
        nonce[0] = (nonce[0] & 0x7F) | 0x40;
        let nonce = Int::new(&nonce).expect(OURS);
        let request = TimeStampReq {
            version: TspVersion::V1,
            message_imprint: imprint(&digest),
            req_policy: None,
            nonce: Some(nonce.clone()),
            cert_req: true,
            extensions: None,
        };
        Self { digest, nonce, der: request.to_der().expect(OURS) }
    }

    /// The body to send as `application/timestamp-query`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks the answer (`application/timestamp-reply`) and takes the token out of it. `roots` are certificates in
    /// DER: of authorities, or the time stamping certificate itself.
    ///
    /// # Errors
    /// If the authority refused, or the token is not for this request or not from one of the roots.
    pub fn accept(
        &self,
        answer: &[u8],
        roots: &[CertificateDer<'_>],
    ) -> Result<(Stamp, Vec<u8>), StampError> {
        if answer.len() > MAX_RESPONSE {
            return Err(StampError::Malformed("the answer is too long"));
        }
        let response =
            TimeStampResp::from_der(answer).map_err(|_| StampError::Malformed("the answer is not one"))?;
        let Some(token) = response.time_stamp_token else {
            let text = response.status.status_string;
            let said = text.map(|texts| texts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
            return Err(StampError::Refused(said.unwrap_or_else(|| format!("{:?}", response.status.status))));
        };
        let token = token.to_der().map_err(|_| StampError::Malformed("the token cannot be kept"))?;
        let (stamp, info) = verify(&token, &self.digest, roots)?;
        if info.nonce.as_ref() != Some(&self.nonce) {
            return Err(StampError::Other("another nonce"));
        }
        Ok((stamp, token))
    }
}

/// Verifies a token over these bytes at any later time: certificates are judged by the stamped time.
///
/// # Errors
/// If the token is not for these bytes or not from one of the roots.
pub fn verify_stamp(token: &[u8], message: &[u8], roots: &[CertificateDer<'_>]) -> Result<Stamp, StampError> {
    verify(token, &sha256(message), roots).map(|(stamp, _)| stamp)
}

fn verify(
    token: &[u8],
    digest: &[u8; 32],
    roots: &[CertificateDer<'_>],
) -> Result<(Stamp, TstInfo), StampError> {
    let malformed = StampError::Malformed;
    if token.len() > MAX_RESPONSE {
        return Err(malformed("it is too long"));
    }
    let content = ContentInfo::from_der(token).map_err(|_| malformed("it is not a CMS message"))?;
    if content.content_type != SIGNED_DATA {
        return Err(malformed("it is not signed"));
    }
    let signed: SignedData = content.content.decode_as().map_err(|_| malformed("it is not signed data"))?;
    let inner = &signed.encap_content_info;
    let info_der = inner.econtent.as_ref().filter(|_| inner.econtent_type == TST_INFO);
    let info_der = info_der.ok_or(malformed("it has no time"))?.value();
    let info = TstInfo::from_der(info_der).map_err(|_| malformed("its time cannot be read"))?;
    if info.message_imprint != imprint(digest) && info.message_imprint != imprint_without_null(digest) {
        return Err(StampError::Other("another digest"));
    }
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(malformed("it has not exactly one signature"));
    };

    let carried: Vec<&Certificate> = signed
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| {
            if let CertificateChoices::Certificate(certificate) = choice { Some(certificate) } else { None }
        })
        .take(16)
        .collect();
    let pinned: Vec<Certificate> = roots.iter().filter_map(|root| Certificate::from_der(root).ok()).collect();
    let certificate = carried
        .iter()
        .copied()
        .chain(&pinned)
        .find(|certificate| is_of(certificate, &signer.sid))
        .ok_or_else(|| StampError::Untrusted("the signer's certificate is missing".into()))?;
    let certificate = certificate.to_der().map_err(|_| malformed("its certificate"))?;
    let certificate = CertificateDer::from(certificate);
    let end_entity = EndEntityCert::try_from(&certificate)
        .map_err(|error| StampError::Untrusted(format!("the certificate: {error}")))?;
    check_signature(signer, info_der, &certificate, &end_entity)?;

    let seconds = info.gen_time.to_unix_duration();
    let others: Vec<CertificateDer<'static>> =
        carried.iter().filter_map(|other| other.to_der().ok().map(CertificateDer::from)).collect();
    check_chain(&certificate, &end_entity, roots, &others, UnixTime::since_unix_epoch(seconds))?;
    let at = i64::try_from(seconds.as_millis()).map_err(|_| malformed("its time is out of range"))?;
    let stamp = Stamp {
        at: Timestamp::from_millis(at),
        serial: info.serial_number.as_bytes().to_vec(),
        policy: info.policy.to_string(),
    };
    Ok((stamp, info))
}

/// The signature over the signed attributes, which name the content, its digest and the certificate.
fn check_signature(
    signer: &SignerInfo,
    content: &[u8],
    certificate: &CertificateDer<'_>,
    end_entity: &EndEntityCert<'_>,
) -> Result<(), StampError> {
    let malformed = StampError::Malformed;
    let attributes = signer.signed_attrs.as_ref().ok_or(malformed("it has no signed attributes"))?;
    let value =
        |oid: ObjectIdentifier| attributes.iter().find(|attribute| attribute.oid == oid).and_then(only_value);
    let named: Option<ObjectIdentifier> = value(CONTENT_TYPE).and_then(|any| any.decode_as().ok());
    if named != Some(TST_INFO) {
        return Err(malformed("its attributes name another content"));
    }
    let claimed: Option<OctetString> = value(MESSAGE_DIGEST).and_then(|any| any.decode_as().ok());
    let algorithm = algorithm(&signer.digest_alg.oid).ok_or(malformed("its digest is of an unknown kind"))?;
    if claimed.is_none_or(|claimed| claimed.as_bytes() != digest::digest(algorithm, content).as_ref()) {
        return Err(malformed("its content is not what was signed"));
    }
    if !names_certificate(value(SIGNING_CERTIFICATE), value(SIGNING_CERTIFICATE_V2), certificate) {
        return Err(StampError::Untrusted("the signature does not name its certificate".into()));
    }
    let message = attributes.to_der().map_err(|_| malformed("its attributes"))?;
    let signature = signer.signature.as_bytes();
    let right = ALL_VERIFICATION_ALGS
        .iter()
        .any(|algorithm| end_entity.verify_signature(*algorithm, &message, signature).is_ok());
    if right { Ok(()) } else { Err(StampError::Untrusted("the signature is wrong".into())) }
}

/// RFC 3161 demands that the attributes name the certificate (RFC 2634, RFC 5035), so that it cannot be exchanged.
fn names_certificate(v1: Option<&Any>, v2: Option<&Any>, certificate: &[u8]) -> bool {
    if let Some(v2) = v2 {
        let first =
            v2.decode_as::<SigningCertificateV2>().ok().and_then(|list| list.certs.into_iter().next());
        return first.is_some_and(|first| {
            let oid = first.hash_algorithm.map_or(SHA_256, |algorithm| algorithm.oid);
            algorithm(&oid)
                .is_some_and(|kind| digest::digest(kind, certificate).as_ref() == first.cert_hash.as_bytes())
        });
    }
    let first = v1.and_then(|v1| v1.decode_as::<SigningCertificate>().ok()?.certs.into_iter().next());
    // SHA-1 is what the older attribute has; the signature over it is what protects.
    first.is_some_and(|first| {
        digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref() == first.cert_hash.as_bytes()
    })
}

fn check_chain(
    certificate: &CertificateDer<'_>,
    end_entity: &EndEntityCert<'_>,
    roots: &[CertificateDer<'_>],
    others: &[CertificateDer<'_>],
    at: UnixTime,
) -> Result<(), StampError> {
    // The very certificate was configured: nobody need vouch for it.
    if roots.contains(certificate) {
        return Ok(());
    }
    let anchors: Vec<_> = roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
    end_entity
        .verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            others,
            at,
            KeyUsage::required(TIME_STAMPING),
            None,
            None,
        )
        .map(drop)
        .map_err(|error| StampError::Untrusted(format!("the certificate: {error}")))
}

fn is_of(certificate: &Certificate, signer: &SignerIdentifier) -> bool {
    let tbs = &certificate.tbs_certificate;
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            tbs.issuer == id.issuer && tbs.serial_number == id.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            let extensions = tbs.extensions.iter().flatten();
            let own = extensions.filter(|extension| extension.extn_id == SUBJECT_KEY_ID);
            own.filter_map(|extension| SubjectKeyIdentifier::from_der(extension.extn_value.as_bytes()).ok())
                .any(|own| own == *id)
        }
    }
}

fn only_value(attribute: &Attribute) -> Option<&Any> {
    match attribute.values.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

fn algorithm(oid: &ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    match *oid {
        SHA_256 => Some(&digest::SHA256),
        SHA_384 => Some(&digest::SHA384),
        SHA_512 => Some(&digest::SHA512),
        _ => None,
    }
}

fn imprint(digest: &[u8; 32]) -> MessageImprint {
    let hash_algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(Any::null()) };
    MessageImprint {
        hash_algorithm,
        hashed_message: OctetString::new(digest.as_slice()).expect("32 bytes fit"),
    }
}

/// Both forms of the identifier are in use (RFC 5754 section 2).
fn imprint_without_null(digest: &[u8; 32]) -> MessageImprint {
    let mut imprint = imprint(digest);
    imprint.hash_algorithm.parameters = None;
    imprint
}

#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Sequence)]
struct EssCertIdV2 {
    #[asn1(optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<Any>,
}

#[derive(Sequence)]
struct SigningCertificate {
    certs: Vec<EssCertId>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Sequence)]
struct EssCertId {
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<Any>,
}
