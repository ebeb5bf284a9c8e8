//! Whose calls they are.

use std::collections::HashSet;

use tollgate_core::dice::Rng;
use tollgate_core::math::pow;
use tollgate_core::policy::Priority;

use super::error::{Cause, Faults};

/// The most tenants of a workload.
const MAX_TENANTS: usize = 1_000_000;

/// What a scenario says about tenants.
#[derive(Clone, Debug, PartialEq)]
pub enum TenantsSpec {
    /// `tenant-1` to `tenant-COUNT`; number `i` has a share proportional to `i^-skew` (Zipf).
    Zipf {
        /// How many.
        count: u32,
        /// 0 makes all equal, 1 is Zipf's own law.
        skew: f64,
    },
    /// These.
    List(Vec<TenantSpec>),
}

/// One tenant of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSpec {
    /// Its name.
    pub name: String,
    /// Its calls, relative to those of the others.
    pub share: f64,
    /// A free word that routes and limits match; may be empty.
    pub role: String,
    /// Where its calls come from; may be empty.
    pub region: String,
    /// How urgent its calls are.
    pub priority: Priority,
    /// What its calls ask for, where a trace does not say; may be empty.
    pub model: String,
    /// Headers of its calls, by their names in lower case.
    pub headers: Vec<(String, String)>,
}

/// A tenant of a checked workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// A free word that routes and limits match; may be empty.
    pub role: String,
    /// Where its calls come from; may be empty.
    pub region: String,
    /// How urgent its calls are.
    pub priority: Priority,
    /// What its calls ask for, where a trace does not say; may be empty.
    pub model: String,
    /// Headers of its calls, by their names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Default for TenantsSpec {
    /// A single tenant, `tenant-1`.
    fn default() -> TenantsSpec {
        TenantsSpec::Zipf { count: 1, skew: 0.0 }
    }
}

impl TenantsSpec {
    pub(crate) fn check_into(&self, faults: &mut Faults) {
        match self {
            TenantsSpec::Zipf { count, skew } => {
                faults.within("tenants.count", f64::from(*count), 1.0, 1e6);
                faults.within("tenants.skew", *skew, 0.0, 10.0);
            }
            TenantsSpec::List(list) => {
                faults.len_within("tenants", list.len(), MAX_TENANTS);
                let mut names = HashSet::new();
                for (index, tenant) in list.iter().enumerate() {
                    faults.within(format!("tenants[{index}].share"), tenant.share, 1e-12, 1e12);
                    if tenant.name.is_empty() {
                        faults.add(format!("tenants[{index}].name"), Cause::Empty);
                    } else if !names.insert(&tenant.name) {
                        let cause = Cause::Duplicate {
                            name: tenant.name.clone(),
                        };
                        faults.add(format!("tenants[{index}].name"), cause);
                    }
                }
            }
        }
    }
}

/// Who there is, and how a call finds its tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenants {
    list: Vec<Tenant>,
    table: Box<[Column]>,
}

/// A column of the alias table: this tenant below `share`, the other one above.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    share: f64,
    alias: u32,
}

impl Tenants {
    /// The tenants of a checked specification.
    pub(crate) fn new(spec: &TenantsSpec) -> Tenants {
        match spec {
            TenantsSpec::Zipf { count, skew } => {
                let shares: Vec<f64> = (1..=*count).map(|rank| pow(f64::from(rank), -skew)).collect();
                let list = (1..=*count)
                    .map(|rank| Tenant {
                        name: format!("tenant-{rank}"),
                        ..Tenant::default()
                    })
                    .collect();
                Tenants {
                    list,
                    table: alias_table(&shares),
                }
            }
            TenantsSpec::List(list) => {
                let shares: Vec<f64> = list.iter().map(|tenant| tenant.share).collect();
                Tenants {
                    list: list.iter().map(TenantSpec::tenant).collect(),
                    table: alias_table(&shares),
                }
            }
        }
    }

    /// Tenants named by a trace; those that `spec` lists by the same name have what is listed.
    pub(crate) fn named(names: &[String], spec: &TenantsSpec) -> Tenants {
        let listed: &[TenantSpec] = match spec {
            TenantsSpec::Zipf { .. } => &[],
            TenantsSpec::List(list) => list,
        };
        let find = |name: &String| {
            listed
                .iter()
                .find(|tenant| tenant.name == *name)
                .map(TenantSpec::tenant)
        };
        let list = names
            .iter()
            .map(|name| {
                find(name).unwrap_or_else(|| Tenant {
                    name: name.clone(),
                    ..Tenant::default()
                })
            })
            .collect();
        Tenants {
            list,
            table: alias_table(&vec![1.0; names.len()]),
        }
    }

    /// Every tenant; [`Call::tenant`](super::Call::tenant) is a position in this list.
    #[must_use]
    pub fn as_slice(&self) -> &[Tenant] {
        &self.list
    }

    /// A position in the list, by share: one roll, two reads (Walker's alias method).
    #[inline]
    pub(crate) fn draw(&self, rng: &mut Rng) -> u32 {
        if self.table.len() == 1 {
            return 0;
        }
        let columns = self.table.len() as u128;
        let product = u128::from(rng.next_u64()) * columns;
        let (index, rest) = split(product);
        let column = self.table[index as usize];
        if fraction(rest) < column.share {
            index
        } else {
            column.alias
        }
    }
}

impl TenantSpec {
    fn tenant(&self) -> Tenant {
        Tenant {
            name: self.name.clone(),
            role: self.role.clone(),
            region: self.region.clone(),
            priority: self.priority,
            model: self.model.clone(),
            headers: self.headers.clone(),
        }
    }
}

/// The whole and the fractional part of a number with 64 fractional bits, the whole one below 2^32.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half is below the number of tenants"
)]
fn split(product: u128) -> (u32, u64) {
    ((product >> 64) as u32, product as u64)
}

#[inline]
#[expect(clippy::cast_precision_loss, reason = "a probability; the error is below 2^-53")]
fn fraction(bits: u64) -> f64 {
    bits as f64 * (1.0 / 18_446_744_073_709_551_616.0)
}

/// Michael Vose, *A Linear Algorithm for Generating Random Numbers with a Given Distribution*, IEEE TSE 17 (1991).
fn alias_table(shares: &[f64]) -> Box<[Column]> {
    let total: f64 = shares.iter().sum();
    let len = u32::try_from(shares.len()).expect("the check bounds the number of tenants");
    let mut scaled: Vec<f64> = shares.iter().map(|share| share / total * f64::from(len)).collect();
    let mut table: Vec<Column> = (0..len)
        .map(|index| Column {
            share: 1.0,
            alias: index,
        })
        .collect();
    let (mut small, mut large): (Vec<u32>, Vec<u32>) = (0..len).partition(|index| scaled[*index as usize] < 1.0);
    while let (Some(less), Some(&more)) = (small.pop(), large.last()) {
        table[less as usize] = Column {
            share: scaled[less as usize],
            alias: more,
        };
        scaled[more as usize] -= 1.0 - scaled[less as usize];
        if scaled[more as usize] < 1.0 {
            large.pop();
            small.push(more);
        }
    }
    table.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use tollgate_core::dice::{Dice, Purpose};

    use super::*;

    fn counts(tenants: &Tenants, draws: u64) -> Vec<f64> {
        let mut counts = vec![0.0; tenants.as_slice().len()];
        for number in 0..draws {
            let mut rng = Dice::new(3).request(number).roll(Purpose::Tenant, 0);
            counts[tenants.draw(&mut rng) as usize] += 1.0;
        }
        counts
    }

    #[test]
    fn zipf_shares_are_kept() {
        let tenants = Tenants::new(&TenantsSpec::Zipf { count: 20, skew: 1.1 });
        let draws = 1_000_000_u32;
        let weights: Vec<f64> = (1..=20).map(|rank| pow(f64::from(rank), -1.1)).collect();
        let total: f64 = weights.iter().sum();
        let chi_square: f64 = counts(&tenants, u64::from(draws))
            .iter()
            .zip(&weights)
            .map(|(count, weight)| {
                let expected = f64::from(draws) * weight / total;
                (count - expected) * (count - expected) / expected
            })
            .sum();
        // The 99.9 % point of the chi-square distribution with 19 degrees of freedom.
        assert!(chi_square < 43.82, "{chi_square}");
    }

    #[test]
    fn listed_shares_are_kept_and_need_not_sum_to_one() {
        let tenant = |name: &str, share| TenantSpec {
            name: name.to_owned(),
            share,
            role: "batch".to_owned(),
            region: String::new(),
            priority: Priority::Low,
            model: String::new(),
            headers: Vec::new(),
        };
        let tenants = Tenants::new(&TenantsSpec::List(vec![tenant("a", 30.0), tenant("b", 10.0)]));
        let share = counts(&tenants, 400_000)[0] / 400_000.0;
        // Four standard deviations of a binomial share.
        assert!(
            (share - 0.75).abs() < 4.0 * (0.75_f64 * 0.25 / 400_000.0).sqrt(),
            "{share}"
        );
        assert_eq!(tenants.as_slice()[1].priority, Priority::Low);
    }
}
