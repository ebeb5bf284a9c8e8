//! Fair orders: deficit round robin and virtual token counters, and what there is without them.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use proptest::prelude::*;
use tollgate_core::id::{RequestId, TenantId};
use tollgate_core::policy::{Needs, Order, Priority, Shedding};
use tollgate_core::queue::{Place, WaitQueue, Waiter};
use tollgate_core::time::Instant;

use super::guests::{permit, queue, weight};

/// A queue and its guests, for whom nothing matters but whose they are and what they cost.
struct Shop {
    queue: WaitQueue,
    places: BTreeMap<RequestId, (Place, u32, u64)>,
    next: u64,
}

impl Shop {
    fn new(order: Order) -> Shop {
        Shop {
            queue: queue(order, Shedding::Never, 100_000),
            places: BTreeMap::new(),
            next: 0,
        }
    }

    fn push(&mut self, tenant: u32, cost: u64) {
        let request = RequestId(self.next);
        self.next += 1;
        let waiter = Waiter {
            request,
            needs: Needs::default(),
            expires: Instant::FAR,
            tenant: TenantId(tenant),
            weight: weight(tenant),
            priority: Priority::Normal,
            deadline: Instant::FAR,
            cost,
        };
        let place = self.queue.push(Instant::EPOCH, waiter).expect("there is room");
        self.places.insert(request, (place, tenant, cost));
    }

    /// Whose request is served, and what it costs.
    fn serve(&mut self) -> Option<(u32, u64)> {
        let granted = self
            .queue
            .grant(Instant::EPOCH, permit(0), |_| true, |_, _| panic!("nobody is told"))?;
        let (place, tenant, cost) = self.places.remove(&granted).expect("it waits");
        let _ = self.queue.claim(place);
        Some((tenant, cost))
    }
}

fn deficit(quantum: u32) -> Order {
    Order::Deficit {
        quantum: NonZeroU32::new(quantum).expect("not zero"),
        output_default: 0,
    }
}

const VTC: Order = Order::Vtc { output_default: 0 };
/// The largest cost.
const MOST: u64 = 50;

/// The furthest that one tenant of two is ahead of another over any stretch of `served`, in service over weight, in
/// thousandths, when both always have somebody waiting.
fn most_ahead(order: Order, costs: &[(u64, u64)]) -> u64 {
    let mut shop = Shop::new(order);
    let mut costs = costs.iter().copied();
    let mut given = [0_u64; 2];
    let (mut low, mut high, mut most) = (i64::MAX, i64::MIN, 0);
    let (one, other) = costs.next().expect("some costs");
    shop.push(1, one);
    shop.push(2, other);
    for (one, other) in costs {
        // Somebody of both always waits, before and after.
        shop.push(1, one);
        shop.push(2, other);
        let (tenant, cost) = shop.serve().expect("somebody waits");
        given[usize::try_from(tenant).expect("one of two") - 1] += cost;
        let scaled = |tenant: u32| {
            let given = given[usize::try_from(tenant).expect("one of two") - 1];
            i64::try_from(given * 1_000_000 / u64::from(weight(tenant).thousandths())).expect("small")
        };
        let ahead = scaled(1) - scaled(2);
        (low, high) = (low.min(ahead), high.max(ahead));
        most = most.max((high - low).unsigned_abs());
    }
    most
}

fn costs() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((1..=MOST, 1..=MOST), 2..300)
}

proptest! {
    /// Two tenants for whom somebody always waits are served alike for their weights: over any stretch they differ by
    /// no more than a quantum, and what each may have left over, which is less than its largest cost.
    #[test]
    fn deficit_is_fair(quantum in 1_u32..200, costs in costs()) {
        // Costs count for more where the weight is less than one; here it is at least one.
        let bound = (u64::from(quantum) + 2 * MOST) * 1_000;
        let most = most_ahead(deficit(quantum), &costs);
        prop_assert!(most <= bound + 2, "{most} of {bound}");
    }

    /// It is the round robin of the paper, step by step, which goes round in full where ours skips idle rounds.
    #[test]
    fn deficit_is_the_papers(
        quantum in 1_u32..40,
        steps in prop::collection::vec(prop::option::weighted(0.6, (0_u32..4, 1..=MOST)), 1..300),
    ) {
        let mut shop = Shop::new(deficit(quantum));
        let mut paper = Paper::default();
        for step in steps {
            if let Some((tenant, cost)) = step {
                shop.push(tenant, cost);
                paper.enqueue(tenant, cost * 1_000);
                continue;
            }
            let served = paper.dequeue(u64::from(quantum));
            prop_assert_eq!(shop.serve(), served.map(|(tenant, cost)| (tenant, cost / 1_000)));
        }
    }

    /// Two tenants for whom somebody always waits are served alike for their weights: over any stretch they differ by
    /// no more than twice the most that is charged at once.
    #[test]
    fn vtc_is_fair(costs in costs()) {
        let most = most_ahead(VTC, &costs);
        prop_assert!(most <= 2 * MOST * 1_000 + 2, "{most}");
    }

    /// Whoever comes back is where the least served of those who wait is, however long it was away; and is not set back
    /// if it was served more than they were.
    #[test]
    fn vtc_lifts(early in 0_u64..1_000, late in 1_u64..1_000) {
        let mut shop = Shop::new(VTC);
        // Tenant 1 is served for `early`, tenant 3 for `late`, while tenant 2 is away.
        shop.queue.pass(TenantId(1), weight(1), early);
        for _ in 0..4 {
            shop.push(3, late);
        }
        prop_assert_eq!(shop.serve(), Some((3, late)));
        shop.push(2, 1);
        // Lifted to where tenant 3 is, it is next, by its number; and again until it has caught up, but no more.
        prop_assert_eq!(shop.serve(), Some((2, 1)));
        shop.push(2, 1);
        prop_assert_eq!(shop.serve(), Some((3, late)), "it has saved up nothing");
    }

    /// What is charged beyond the truth, or short of it, makes no difference once it is trued up.
    #[test]
    fn vtc_trues_up(estimates in prop::collection::vec((1_u32..3, 0_u64..100, 0_u64..100), 1..40)) {
        let (mut one, mut other) = (Shop::new(VTC), Shop::new(VTC));
        for shop in [&mut one, &mut other] {
            // Somebody waits, so that nobody is lifted to whoever left last.
            shop.push(0, 1);
            for tenant in 1..3 {
                shop.push(tenant, 1);
                shop.push(tenant, 1);
            }
        }
        for (tenant, estimate, truth) in estimates {
            one.queue.pass(TenantId(tenant), weight(tenant), estimate);
            one.queue.settle(TenantId(tenant), estimate, truth);
            other.queue.pass(TenantId(tenant), weight(tenant), truth);
        }
        for _ in 0..5 {
            prop_assert_eq!(one.serve(), other.serve());
        }
    }
}

/// First come, first served gives the more to whoever sends the more: a tenant that sends twice as many requests of
/// twice the length gets four times the service, however long it goes on; with counters it gets as much as the other.
#[test]
fn fifo_is_not_fair() {
    let difference = |order: Order, rounds: u64| {
        let mut shop = Shop::new(order);
        let mut given = [0_u64; 2];
        for _ in 0..rounds {
            // Tenants 1 and 3: weights of one and of two.
            shop.push(1, 10);
            shop.push(3, 2 * 20);
            shop.push(3, 2 * 20);
            let (tenant, cost) = shop.serve().expect("somebody waits");
            given[usize::from(tenant == 3)] += cost / if tenant == 3 { 2 } else { 1 };
        }
        given[1].abs_diff(given[0])
    };
    let most = 2 * 20;
    for rounds in [300, 3_000] {
        assert_eq!(difference(Order::Fifo, rounds), rounds / 3 * 30);
        assert!(difference(VTC, rounds) <= most);
        assert!(difference(deficit(10), rounds) <= 10 + most);
    }
}

/// Deficit round robin as it stands in the paper; sizes and deficits in thousandths.
#[derive(Default)]
struct Paper {
    queues: BTreeMap<u32, VecDeque<u64>>,
    deficits: BTreeMap<u32, u64>,
    active: VecDeque<u32>,
    /// The queue at the head of the list has had its quantum.
    visited: bool,
}

impl Paper {
    fn enqueue(&mut self, tenant: u32, size: u64) {
        if !self.active.contains(&tenant) {
            self.active.push_back(tenant);
            self.deficits.insert(tenant, 0);
        }
        self.queues.entry(tenant).or_default().push_back(size);
    }

    fn dequeue(&mut self, quantum: u64) -> Option<(u32, u64)> {
        loop {
            let tenant = *self.active.front()?;
            let deficit = self.deficits.get_mut(&tenant).expect("active");
            if !self.visited {
                *deficit += quantum * u64::from(weight(tenant).thousandths());
                self.visited = true;
            }
            let queue = self.queues.get_mut(&tenant).expect("active");
            let size = *queue.front().expect("active queues are not empty");
            if size <= *deficit {
                *deficit -= size;
                queue.pop_front();
                if queue.is_empty() {
                    self.active.pop_front();
                    self.visited = false;
                }
                return Some((tenant, size));
            }
            self.active.rotate_left(1);
            self.visited = false;
        }
    }
}
