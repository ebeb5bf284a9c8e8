//! Who is next, in the order of the policy.

use alloc::boxed::Box;

use super::Place;
use super::deficit::Deficit;
use super::ranked::Ranked;
use super::vtc::Vtc;
use super::wait::Standing;
use crate::id::TenantId;
use crate::policy::{Order, Weight};
use crate::usage::Cost;

/// What an order keeps beside the list of those who wait, which has them as they came.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Nothing: first come, first served, or last.
    ByArrival,
    Ranked(Box<Ranked>),
    Deficit(Box<Deficit>),
    Vtc(Box<Vtc>),
}

impl Line {
    pub(super) fn new(order: Order) -> Line {
        match order {
            Order::Fifo | Order::Lifo | Order::AdaptiveLifo { .. } => Line::ByArrival,
            Order::Priority | Order::Deadline => Line::Ranked(Box::default()),
            Order::Deficit { quantum, .. } => Line::Deficit(Box::new(Deficit::new(quantum))),
            Order::Vtc { .. } => Line::Vtc(Box::default()),
        }
    }

    #[inline]
    pub(super) fn join(&mut self, who: &Standing, weight: Weight, place: Place) {
        match self {
            Line::ByArrival => {}
            Line::Ranked(ranked) => ranked.join(who.measure, place),
            Line::Deficit(deficit) => deficit.join(who.tenant, weight, place),
            Line::Vtc(vtc) => vtc.join(who.tenant, weight, place),
        }
    }

    /// `who` goes, unserved.
    #[inline]
    pub(super) fn leave(&mut self, who: &Standing, place: Place) {
        match self {
            Line::ByArrival => {}
            Line::Ranked(ranked) => ranked.leave(who.measure, place),
            Line::Deficit(deficit) => deficit.leave(who.tenant, place),
            Line::Vtc(vtc) => vtc.leave(who.tenant, place),
        }
    }

    /// `who` is served.
    #[inline]
    pub(super) fn take(&mut self, who: &Standing, place: Place) {
        match self {
            Line::ByArrival => {}
            Line::Ranked(ranked) => ranked.leave(who.measure, place),
            Line::Deficit(deficit) => deficit.take(who.tenant, place, who.measure),
            Line::Vtc(vtc) => vtc.take(who.tenant, place, who.measure),
        }
    }

    /// Somebody is served who did not have to wait.
    pub(super) fn pass(&mut self, tenant: TenantId, weight: Weight, cost: Cost) {
        match self {
            Line::ByArrival | Line::Ranked(_) | Line::Deficit(_) => {}
            Line::Vtc(vtc) => vtc.pass(tenant, weight, cost),
        }
    }

    /// Somebody was served, and what was thought to cost `charged` has cost `used`.
    pub(super) fn settle(&mut self, tenant: TenantId, charged: Cost, used: Cost) {
        match self {
            Line::ByArrival | Line::Ranked(_) | Line::Deficit(_) => {}
            Line::Vtc(vtc) => vtc.settle(tenant, charged, used),
        }
    }

    /// How much it keeps: those who wait, and accounts.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        match self {
            Line::ByArrival => 0,
            Line::Ranked(ranked) => ranked.len(),
            Line::Deficit(deficit) => deficit.len(),
            Line::Vtc(vtc) => vtc.len(),
        }
    }
}
