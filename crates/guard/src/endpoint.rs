//! Our own endpoints as data: `api` and `console` list them, the route table knows no others.

use http::Method;

use crate::RateClass;

/// The largest body that an own endpoint takes unless it says otherwise: 64 KiB.
pub const OWN_BODY: u64 = 64 * 1024;

/// Which of our own services answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// JSON.
    Api,
    /// HTML pages and their files.
    Console,
}

/// One own endpoint. A path that nobody lists is a 404, whatever a handler might think of it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The method; `GET` covers `HEAD`.
    pub method: Method,
    /// Path template: `{name}` one segment, `**` the rest. Must begin with a reserved prefix.
    pub path: &'static str,
    /// What the caller must be: `"public"`, `"authenticated"` or an action such as `"user:read"`.
    pub access: &'static str,
    /// What a request counts as.
    pub rate: RateClass,
    /// Who answers.
    pub surface: Surface,
    /// Largest body in bytes.
    pub max_body: u64,
    /// Who calls is read anew: what the method changes or the answer gives away cannot be taken back.
    pub anew: bool,
}

impl Endpoint {
    /// A JSON endpoint with the standard limits.
    pub const fn api(method: Method, path: &'static str, access: &'static str) -> Self {
        Self::new(method, path, access, RateClass::Standard, Surface::Api)
    }

    /// A page, a page's form or file.
    pub const fn page(method: Method, path: &'static str, access: &'static str) -> Self {
        Self::new(method, path, access, RateClass::Page, Surface::Console)
    }

    const fn new(
        method: Method,
        path: &'static str,
        access: &'static str,
        rate: RateClass,
        surface: Surface,
    ) -> Self {
        Self { method, path, access, rate, surface, max_body: OWN_BODY, anew: false }
    }

    /// Reads who calls anew though it changes nothing: it exports.
    #[must_use]
    pub const fn anew(mut self) -> Self {
        self.anew = true;
        self
    }

    /// Counted as something else.
    #[must_use]
    pub const fn rate(mut self, rate: RateClass) -> Self {
        self.rate = rate;
        self
    }

    /// With another largest body.
    #[must_use]
    pub const fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = bytes;
        self
    }
}
