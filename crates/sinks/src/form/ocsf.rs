//! OCSF: the written form of the trail, with the place in the log added where OCSF has room for it.

use audit::Entry;
use serde_json::{Value, json};

use super::{Place, is_real};

pub(super) fn write(entry: &Entry, place: &Place<'_>, version: &str) -> Value {
    let mut event = audit::to_ocsf(entry, version);
    if !is_real(place) {
        event["metadata"]["uid"] = json!(place.dedup);
    }
    if let Some(index) = place.index {
        event["metadata"]["sequence"] = json!(index);
    }
    event["metadata"]["log_name"] = json!("fortissimo");
    // Receivers look for it by this name; OCSF has no field for it.
    if let Some(unmapped) = event["unmapped"].as_object_mut() {
        unmapped.insert("dedup".to_owned(), json!(place.dedup));
    }
    if entry.erased {
        event["unmapped"]["erased"] = json!(true);
    }
    event
}
