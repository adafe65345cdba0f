//! How fast somebody would have had to travel.

/// Nobody flies faster than this, door to door.
const MAX_KMH: f64 = 900.0;
/// Below this, geography is too coarse to tell anything.
const MIN_KM: f64 = 300.0;
const EARTH_RADIUS_KM: f64 = 6371.0;

/// Kilometres along the surface between two (latitude, longitude) in degrees.
pub(crate) fn distance_km(a: (f32, f32), b: (f32, f32)) -> f64 {
    let (lat_a, lon_a) = (f64::from(a.0).to_radians(), f64::from(a.1).to_radians());
    let (lat_b, lon_b) = (f64::from(b.0).to_radians(), f64::from(b.1).to_radians());
    let h = ((lat_b - lat_a) / 2.0).sin().powi(2)
        + lat_a.cos() * lat_b.cos() * ((lon_b - lon_a) / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_KM * h.clamp(0.0, 1.0).sqrt().asin()
}

/// Whether nobody can get from `a` to `b` in this time (in milliseconds, of either sign).
pub(crate) fn is_impossible(a: (f32, f32), b: (f32, f32), elapsed_ms: i64) -> bool {
    let km = distance_km(a, b);
    #[expect(clippy::cast_precision_loss, reason = "years in milliseconds fit a double exactly")]
    let hours = elapsed_ms.unsigned_abs() as f64 / 3_600_000.0;
    km > MIN_KM && km - MIN_KM > hours * MAX_KMH
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: (f32, f32) = (52.52, 13.405);
    const SYDNEY: (f32, f32) = (-33.87, 151.21);

    #[test]
    fn distances_are_those_of_the_atlas() {
        assert!((distance_km(BERLIN, SYDNEY) - 16_090.0).abs() < 60.0);
        assert!(distance_km(BERLIN, BERLIN) < 0.001);
        assert!(
            (distance_km((0.0, 179.5), (0.0, -179.5)) - 111.2).abs() < 1.0,
            "the date line is not a wall"
        );
    }

    #[test]
    fn only_what_nobody_can_do_is_impossible() {
        assert!(is_impossible(BERLIN, SYDNEY, 2 * 3_600_000));
        assert!(is_impossible(SYDNEY, BERLIN, 0));
        assert!(!is_impossible(BERLIN, SYDNEY, 24 * 3_600_000));
        assert!(!is_impossible(BERLIN, (53.55, 9.99), 0), "Hamburg is too near for geography by address");
    }
}
