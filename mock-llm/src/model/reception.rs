//! How an attempt is received, and what it hears if it goes no further.

use tollgate_core::fault::Fault;
use tollgate_core::lifecycle::{AttemptEvent, ErrorCode, Status};
use tollgate_core::time::Nanos;

use super::{Job, JobId, Output};

/// How an attempt is received.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reception {
    Welcome,
    Refused,
    Silence,
    Answer {
        status: Status,
        code: Option<ErrorCode>,
        after: Nanos,
    },
}

impl JobId {
    /// Of a job that ended as it came.
    const ENDED: JobId = JobId {
        slot: u32::MAX,
        generation: 0,
    };

    pub(super) fn refuse_connection(job: &Job, out: &mut Vec<Output>) -> JobId {
        out.push(Output::Progress {
            tag: job.tag,
            event: AttemptEvent::Fail { fault: Fault::Connect },
        });
        JobId::ENDED
    }

    pub(super) fn answer(
        job: &Job,
        status: Status,
        code: Option<ErrorCode>,
        retry_after: Option<Nanos>,
        out: &mut Vec<Output>,
    ) -> JobId {
        let events = [
            AttemptEvent::Connected,
            AttemptEvent::Open {
                status,
                code,
                retry_after,
            },
        ];
        out.extend(events.map(|event| Output::Progress { tag: job.tag, event }));
        JobId::ENDED
    }
}
