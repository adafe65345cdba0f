//! Counters and times by route template and status class. No personal data, and no label that a client chooses.

use metrics::{Counter, Histogram};

use crate::{Refusal, RouteTable};

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Handles, made once: looking one up by its labels for each request would cost more than counting.
pub(crate) struct Measures {
    /// By route number; the last is for requests without a route.
    routes: Vec<RouteMeasure>,
}

struct RouteMeasure {
    classes: [Counter; 5],
    seconds: Histogram,
}

impl Measures {
    pub(crate) fn new(routes: &RouteTable) -> Self {
        metrics::describe_counter!("fortissimo_http_requests_total", "Requests by route and status class.");
        metrics::describe_histogram!(
            "fortissimo_http_request_seconds",
            metrics::Unit::Seconds,
            "From the request's head to the answer's head."
        );
        metrics::describe_counter!(
            "fortissimo_refusals_total",
            "Requests refused by the pipeline, by stage and reason."
        );
        let measure = |route: &str| {
            RouteMeasure {
            classes: CLASSES.map(|class| {
                metrics::counter!("fortissimo_http_requests_total", "route" => route.to_owned(), "class" => class)
            }),
            seconds: metrics::histogram!("fortissimo_http_request_seconds", "route" => route.to_owned()),
        }
        };
        let mut all: Vec<RouteMeasure> =
            routes.routes().iter().map(|route| measure(route.template())).collect();
        all.push(measure("none"));
        Self { routes: all }
    }

    pub(crate) fn request(&self, route: Option<usize>, status: u16, seconds: f64) {
        let at = route.unwrap_or(self.routes.len() - 1);
        if let Some(measure) = self.routes.get(at) {
            let class = usize::from(status / 100).clamp(1, 5) - 1;
            measure.classes[class].increment(1);
            measure.seconds.record(seconds);
        }
    }

    pub(crate) fn refusal(refusal: &Refusal) {
        let (stage, reason) = (refusal.stage().as_str(), refusal.why());
        metrics::counter!("fortissimo_refusals_total", "stage" => stage, "reason" => reason).increment(1);
    }
}
