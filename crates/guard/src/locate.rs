//! Who knows where network addresses lie.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use audit::Place;

/// Answers where an address lies. It is asked once for every request, so it must be quick: a look into memory.
#[derive(Clone)]
pub struct Locate(Arc<dyn Fn(IpAddr) -> Option<Place> + Send + Sync>);

impl Locate {
    /// Asks this function.
    pub fn new(locate: impl Fn(IpAddr) -> Option<Place> + Send + Sync + 'static) -> Self {
        Self(Arc::new(locate))
    }

    /// Country and region of an address, if they are known.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        (self.0)(address)
    }
}

impl fmt::Debug for Locate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locate(..)")
    }
}
