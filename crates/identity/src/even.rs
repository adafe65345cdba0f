//! Answers whose time tells nothing: where somebody names an account, whether there is one shows in the work that follows
//! (a letter to write, to seal and to queue). As much of the work as can be is done in either case; the steps take what is
//! left.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::Identity;

/// Answers come at multiples of this.
pub(crate) const STEP: Duration = Duration::from_millis(50);

impl Identity {
    /// Does the work, and answers at a multiple of [`Settings::answer_step`](crate::Settings::answer_step) after it began:
    /// never at once, and what takes a little longer in one case than in the other takes the same.
    pub async fn evenly<T>(&self, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = work.await;
        next_step(begun, self.0.settings.answer_step).await;
        result
    }
}

/// Waits for the next multiple of `step` after `begun`; not at all if the step is none.
pub(crate) async fn next_step(begun: Instant, step: Duration) {
    let past = begun.elapsed().as_micros().checked_div(step.as_micros());
    if let Some(past) = past {
        sleep_until(begun + step * u32::try_from(past + 1).unwrap_or(1)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_longer_than_one_step_takes_whole_steps() {
        for (work_ms, least) in [(0, 1), (5, 1), (60, 2)] {
            let begun = Instant::now();
            tokio::time::sleep(Duration::from_millis(work_ms)).await;
            next_step(begun, STEP).await;
            assert!(begun.elapsed() >= STEP * least, "{work_ms}");
        }
        next_step(Instant::now(), Duration::ZERO).await;
    }
}
