//! Points on P-256 in the form that SEC 1 calls uncompressed: `04`, x, y.

/// SEC 1 uncompressed form of a P-256 point.
pub(crate) fn uncompressed(x: &[u8; 32], y: &[u8; 32]) -> [u8; 65] {
    let mut point = [4; 65];
    point[1..33].copy_from_slice(x);
    point[33..].copy_from_slice(y);
    point
}

/// The coordinates of a P-256 point in uncompressed form.
pub(crate) fn coordinates(point: &[u8]) -> Option<([u8; 32], [u8; 32])> {
    let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
    Some((x.try_into().ok()?, y.try_into().ok()?))
}
