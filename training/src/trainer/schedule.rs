use std::f64::consts::PI;

use super::Schedule;

/// Share of all steps that the learning rate rises over, for the schedules that warm up.
const WARM_UP: f64 = 0.02;

impl Schedule {
    /// Learning rate of step `step` (from 0) of `n_steps`, as a share of the peak.
    pub(super) fn factor(self, step: usize, n_steps: usize) -> f64 {
        let warm_up = (n_steps as f64 * WARM_UP).ceil();
        let done = step as f64 + 1.0;
        match self {
            Self::Constant => 1.0,
            _ if done <= warm_up => done / warm_up,
            _ => {
                let rest = (n_steps as f64 - warm_up).max(1.0);
                let t = ((done - warm_up) / rest).clamp(0.0, 1.0);
                match self {
                    Self::Cosine => (1.0 + (PI * t).cos()) / 2.0,
                    _ => 1.0 - t,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_rise_to_the_peak_and_fall_to_zero() {
        let course =
            |schedule: Schedule| -> Vec<f64> { (0..100).map(|step| schedule.factor(step, 100)).collect() };
        assert!(course(Schedule::Constant).iter().all(|factor| *factor == 1.0));
        for schedule in [Schedule::Cosine, Schedule::Linear] {
            let course = course(schedule);
            assert_eq!(course[0], 0.5);
            assert_eq!(course[1], 1.0);
            assert!(course[1..].windows(2).all(|pair| pair[1] < pair[0]));
            assert!(course[99].abs() < 1e-12);
        }
        // Halfway between the end of the warm-up and the end.
        assert!((Schedule::Cosine.factor(50, 100) - 0.5).abs() < 1e-12);
        assert!((Schedule::Linear.factor(50, 100) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_single_step_is_finite() {
        for schedule in [Schedule::Constant, Schedule::Cosine, Schedule::Linear] {
            assert_eq!(schedule.factor(0, 1), 1.0);
        }
    }
}
