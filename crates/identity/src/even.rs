//! Answers whose time tells nothing: where somebody names an account, whether there is one shows in the work that follows
//! (a letter to write, to seal and to queue).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Answers come at multiples of this.
const EVEN: Duration = Duration::from_millis(50);

/// Does the work, and answers at a multiple of 50 ms after it began: never at once, and what takes a little longer in one
/// case than in the other takes the same.
pub async fn evenly<T>(work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let result = work.await;
    let steps = start.elapsed().as_millis() / EVEN.as_millis() + 1;
    sleep_until(start + EVEN * u32::try_from(steps).unwrap_or(1)).await;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_longer_than_one_step_takes_whole_steps() {
        for work_ms in [0, 5, 60] {
            let start = Instant::now();
            let work = async {
                tokio::time::sleep(Duration::from_millis(work_ms)).await;
                work_ms
            };
            assert_eq!(evenly(work).await, work_ms);
            let least = if work_ms > 50 { 2 } else { 1 };
            assert!(start.elapsed() >= EVEN * least, "{work_ms}");
        }
    }
}
