//! The laws of adaptive limits: written once in `laws`, run over every law, and shown to fail for broken ones.

mod broken;
mod golden;
mod knee;
mod laws;
mod prompts;

use proptest::prelude::*;
use tollgate_core::limit::{Aimd, EnvoyGradient, Gradient2, Vegas, Windowed};
use tollgate_core::policy::Bounds;

macro_rules! obey {
    ($($subject:ident: $law:expr, { $($law_of:ident)* })*) => {
        $(mod $subject {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

                $(#[test]
                fn $law_of(case in laws::case()) {
                    let make: fn(Bounds) -> _ = $law;
                    laws::$law_of(&make(case.bounds), &case).map_err(TestCaseError::fail)?;
                })*
            }
        })*
    };
}

macro_rules! obey_all {
    ($($subject:ident: $law:expr)*) => {
        obey! {
            $($subject: $law, {
                limit_is_within_bounds
                idle_traffic_never_raises
                drops_never_raise
                in_flight_never_above_limit_at_admission
                permits_are_conserved
                forgets_after_an_hour
                any_sample_is_harmless
            })*
        }
    };
}

obey_all! {
    aimd: Aimd::new
    vegas: Vegas::new
    windowed_vegas: |bounds| Windowed::new(Vegas::new(bounds))
    gradient2: Gradient2::new
    gradient: |bounds| Windowed::new(Gradient2::new(bounds))
    envoy_gradient: EnvoyGradient::new
}

/// Of windows `only_busy_windows_raise` tells; Envoy's controller does not ask how much is in flight.
mod near {
    use super::*;

    obey! {
        aimd: Aimd::new, {
            only_what_is_near_it_raises
        }
        vegas: Vegas::new, {
            only_what_is_near_it_raises
        }
        gradient2: Gradient2::new, {
            only_what_is_near_it_raises
        }
    }
}

/// What a law says of a case, or why it is broken.
type Verdict = Result<(), String>;
