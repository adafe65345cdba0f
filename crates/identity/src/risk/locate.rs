//! Where an address is: asked of whoever has the files.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use threat::login::{Network, Place};

/// What is known of an address.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whereabouts {
    /// Its network.
    pub network: Network,
    /// Where that seems to be.
    pub place: Option<Place>,
}

/// Answers where an address is. The default knows nothing.
#[derive(Clone, Default)]
pub struct Locator(Option<Arc<dyn Fn(IpAddr) -> Whereabouts + Send + Sync>>);

impl Locator {
    /// Asks this function; it must be quick (a look into memory).
    pub fn new(locate: impl Fn(IpAddr) -> Whereabouts + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(locate)))
    }

    /// What is known of an address.
    pub fn locate(&self, address: IpAddr) -> Whereabouts {
        self.0.as_ref().map(|locate| locate(address)).unwrap_or_default()
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Locator(..)" } else { "Locator(knows nothing)" })
    }
}
