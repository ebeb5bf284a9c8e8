//! A queue and a plain list of everybody who was ever pushed.

use proptest::prelude::*;
use tollgate_core::id::{EndpointId, RequestId, TenantId};
use tollgate_core::lifecycle::Verdict;
use tollgate_core::policy::{Needs, Order, Priority, QueueShape, Shedding, Weight};
use tollgate_core::queue::{Claim, Full, Permit, Place, Removal, WaitQueue, Waiter};
use tollgate_core::time::{Instant, Nanos};

/// What is done to a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Push(Guise),
    /// A permit comes, of an endpoint that can or cannot call tools.
    Grant {
        tools: bool,
    },
    Claim(usize),
    Remove(usize),
    Pass(u64),
}

/// What a guest is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guise {
    tools: bool,
    patience: u64,
    tenant: u32,
    priority: Priority,
    deadline: u64,
    cost: u64,
}

/// One who was pushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    pub(crate) place: Place,
    pub(crate) waiter: Waiter,
    pub(crate) since: Instant,
    /// Others had been waiting for 20 ns and more.
    pub(crate) hurried: bool,
    pub(crate) is: Is,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Waiting,
    Granted(Permit),
    Told(Verdict),
    Left,
}

pub(crate) struct World {
    pub(crate) queue: WaitQueue,
    pub(crate) guests: Vec<Guest>,
    pub(crate) now: Instant,
    /// Since when somebody has always been waiting.
    pub(crate) busy_since: Option<Instant>,
    shedding: Shedding,
    n_permits: usize,
}

pub(crate) fn steps() -> impl Strategy<Value = (u32, Vec<Step>)> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let guise = (any::<bool>(), 1_u64..60, 0_u32..4, priority, 0_u64..100, 0_u64..30);
    let guise = guise.prop_map(|(tools, patience, tenant, priority, deadline, cost)| Guise {
        tools,
        patience,
        tenant,
        priority,
        deadline,
        cost,
    });
    let step = prop_oneof![
        4 => guise.prop_map(Step::Push),
        3 => any::<bool>().prop_map(|tools| Step::Grant { tools }),
        2 => (0_usize..120).prop_map(Step::Claim),
        1 => (0_usize..120).prop_map(Step::Remove),
        1 => (0_u64..10).prop_map(Step::Pass),
    ];
    (0_u32..9, prop::collection::vec(step, 0..400))
}

pub(crate) fn queue(order: Order, shedding: Shedding, length: u32) -> WaitQueue {
    WaitQueue::new(QueueShape {
        order,
        length,
        wait: Nanos::FOREVER,
        shedding,
    })
}

/// A permit of the `nth` endpoint.
pub(crate) fn permit(nth: usize) -> Permit {
    Permit {
        endpoint: EndpointId::at(nth),
        probe: None,
    }
}

/// The weight of a tenant: 1, 2 and 3 halves, and so on.
pub(crate) fn weight(tenant: u32) -> Weight {
    let thousandths = std::num::NonZeroU32::new(500 * (tenant + 1));
    Weight::from_thousandths(thousandths.expect("not zero"))
}

impl World {
    pub(crate) fn new(order: Order, shedding: Shedding, length: u32) -> World {
        World {
            queue: queue(order, shedding, length),
            guests: Vec::new(),
            now: Instant::EPOCH,
            busy_since: None,
            shedding,
            n_permits: 0,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Push(guise) => self.push(guise)?,
            Step::Grant { tools } => {
                self.grant(tools)?;
            }
            Step::Claim(at) if at < self.guests.len() => {
                let guest = &mut self.guests[at];
                let expected = match guest.is {
                    Is::Waiting => Claim::Waiting,
                    Is::Granted(permit) => Claim::Permit(permit),
                    Is::Told(_) | Is::Left => Claim::Absent,
                };
                prop_assert_eq!(self.queue.claim(guest.place), expected);
                if matches!(guest.is, Is::Granted(_)) {
                    guest.is = Is::Left;
                }
            }
            Step::Remove(at) if at < self.guests.len() => {
                let guest = &mut self.guests[at];
                let expected = match guest.is {
                    Is::Waiting => Removal::Removed,
                    Is::Granted(permit) => Removal::AlreadyAdmitted(permit),
                    Is::Told(_) | Is::Left => Removal::Absent,
                };
                prop_assert_eq!(self.queue.remove(guest.place), expected);
                guest.is = Is::Left;
            }
            Step::Claim(_) | Step::Remove(_) => {}
            Step::Pass(nanos) => self.now += Nanos::from_nanos(nanos),
        }
        self.look()
    }

    fn push(&mut self, guise: Guise) -> Result<(), TestCaseError> {
        let waiter = Waiter {
            request: RequestId(self.guests.len() as u64),
            needs: Needs {
                tools: guise.tools,
                ..Needs::default()
            },
            expires: self.now + Nanos::from_nanos(guise.patience),
            tenant: TenantId(guise.tenant),
            weight: weight(guise.tenant),
            priority: guise.priority,
            deadline: self.now + Nanos::from_nanos(guise.deadline),
            cost: guise.cost,
        };
        let has_room = self.queue.has_room();
        match self.queue.push(self.now, waiter) {
            Ok(place) => {
                prop_assert!(has_room);
                let hurried = self
                    .busy_since
                    .is_some_and(|since| since + Nanos::from_nanos(20) < self.now);
                self.guests.push(Guest {
                    place,
                    waiter,
                    since: self.now,
                    hurried,
                    is: Is::Waiting,
                });
            }
            Err(Full) => prop_assert!(!has_room),
        }
        Ok(())
    }

    /// A permit comes; who was granted it.
    pub(crate) fn grant(&mut self, tools: bool) -> Result<Option<RequestId>, TestCaseError> {
        let can_serve = |needs: &Needs| tools || !needs.tools;
        let permit = permit(self.n_permits);
        self.n_permits += 1;
        let mut told = Vec::new();
        let granted = self.queue.grant(self.now, permit, can_serve, |request, verdict| {
            told.push((request, verdict));
        });
        for (request, verdict) in told {
            let guest = self.guest(request);
            prop_assert_eq!(guest.is, Is::Waiting, "told although it does not wait");
            guest.is = Is::Told(verdict);
            let expires = guest.waiter.expires;
            prop_assert_eq!(verdict == Verdict::Expired, expires <= self.now);
            prop_assert!(
                verdict == Verdict::Expired || self.shedding != Shedding::Never,
                "{:?}",
                verdict
            );
        }
        if let Some(request) = granted {
            let now = self.now;
            let guest = self.guest(request);
            prop_assert_eq!(guest.is, Is::Waiting, "granted although it does not wait");
            prop_assert!(now < guest.waiter.expires && can_serve(&guest.waiter.needs));
            guest.is = Is::Granted(permit);
        }
        self.look()?;
        Ok(granted)
    }

    /// What is seen of the queue is what the list says.
    fn look(&mut self) -> Result<(), TestCaseError> {
        let waiting = |guest: &&Guest| guest.is == Is::Waiting;
        let n_waiting = self.guests.iter().filter(waiting).count();
        prop_assert_eq!(u64::from(self.queue.waiting()), n_waiting as u64);
        let mut without_tools = self
            .guests
            .iter()
            .filter(waiting)
            .map(|guest| !guest.waiter.needs.tools);
        prop_assert_eq!(
            self.queue.has_waiter(|needs| !needs.tools),
            without_tools.any(|without| without)
        );
        self.busy_since = match (n_waiting, self.busy_since) {
            (0, _) => None,
            (_, Some(since)) => Some(since),
            (_, None) => Some(self.now),
        };
        Ok(())
    }

    fn guest(&mut self, request: RequestId) -> &mut Guest {
        &mut self.guests[usize::try_from(request.0).expect("a few")]
    }
}
