//! Named defaults: what services were measured to do.
//!
//! Latencies come from public measurements, quotas from the providers' pages; each entry names its source. What no
//! source gives is assumed and marked so. The common defaults (tail, prefill, errors, load factor) are assumptions that
//! fit the same measurements.

use tollgate_core::math::ln;
use tollgate_core::time::Nanos;

use super::quota::{Count, QuotaSpec};
use super::spec::{ApiSpec, LoadFactor};
use crate::draw::Distribution;

/// The latency of one service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// What a scenario calls it.
    pub name: &'static str,
    /// Mean of the logarithm of the TTFT in seconds.
    pub ttft_mu: f64,
    /// Its standard deviation.
    pub ttft_sigma: f64,
    /// Median of the tokens per second after the first.
    pub tokens_per_s: f64,
    /// Standard deviation, between requests, of the logarithm of the time per token.
    pub tpot_sigma: f64,
    /// Where the numbers come from.
    pub source: &'static str,
}

impl Profile {
    /// Every profile.
    pub const ALL: &'static [Profile] = &[
        probed("gpt-4o-mini", -0.4385, 0.321, 105.3),
        probed("claude-3.5-haiku", -0.3133, 0.252, 58.1),
        probed("gemini-2.0-flash", -0.587, 0.867, 136.8),
        probed("llama-3.3-70b", -0.2731, 0.651, 48.3),
        probed("deepseek-chat", 0.0658, 0.631, 26.0),
        probed("mistral-small", 1.0061, 0.838, 191.6),
        quoted("gpt-4o", -0.7985, 0.35, 131.0),
        quoted("claude-sonnet-4.6", -0.3011, 0.4, 104.0),
        quoted("gemini-3-flash", -std::f64::consts::LN_2, 0.45, 200.0),
        llmperf("llama-2-70b-anyscale-2023", -1.5465, 0.322, 72.5, 0.218),
        llmperf("llama-2-70b-together-2023", -0.4541, 0.117, 87.0, 0.134),
        llmperf("llama-2-70b-fireworks-2023", -0.6597, 0.255, 46.3, 0.07),
        llmperf("llama-2-70b-groq-2023", -1.5051, 0.191, 270.0, 0.078),
        llmperf("llama-2-70b-perplexity-2023", -1.0051, 0.334, 32.8, 0.099),
        llmperf("llama-2-70b-bedrock-2023", -0.9467, 0.203, 22.8, 0.042),
        // Two humps in truth: 8 % of its requests waited 10 to 70 s for a cold start. The lognormal has both percentiles.
        llmperf("llama-2-70b-replicate-2023", 0.1723, 1.833, 11.7, 0.043),
    ];

    /// The profile of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Profile> {
        Profile::ALL.iter().find(|profile| profile.name == name)
    }

    /// The service with this latency and the common defaults.
    ///
    /// # Panics
    ///
    /// Never: the table is in range, which a test holds.
    #[must_use]
    pub fn spec(&self) -> ApiSpec {
        let in_range = "the numbers of a profile are in range";
        let ttft = Distribution::lognormal(self.ttft_mu, self.ttft_sigma).expect(in_range);
        let tpot = Distribution::lognormal(-ln(self.tokens_per_s), self.tpot_sigma).expect(in_range);
        ApiSpec {
            slow_share: 0.01,
            slow_factor: Distribution::lognormal_median_sigma(6.0, 0.6).expect(in_range),
            prefill: 8e-5,
            load_factor: Some(LoadFactor {
                sigma: 0.15,
                relaxation: Nanos::from_secs(300),
            }),
            error_share: 2e-4,
            hang_share: 5e-5,
            ..ApiSpec::new(ttft, tpot)
        }
    }
}

impl ApiSpec {
    /// The service of the [`Profile`] of this name; none if there is no such profile.
    #[must_use]
    pub fn profile(name: &str) -> Option<ApiSpec> {
        Profile::named(name).map(Profile::spec)
    }
}

const fn probed(name: &'static str, ttft_mu: f64, ttft_sigma: f64, tokens_per_s: f64) -> Profile {
    let source =
        "jonathanwrede.de llmprobe, 7 days, about 10,080 probes a model via OpenRouter; spread of TPOT assumed";
    Profile {
        name,
        ttft_mu,
        ttft_sigma,
        tokens_per_s,
        tpot_sigma: 0.12,
        source,
    }
}

const fn quoted(name: &'static str, ttft_mu: f64, ttft_sigma: f64, tokens_per_s: f64) -> Profile {
    let source = "Artificial Analysis medians as quoted by induwara.lk on 2026-06-24; both spreads assumed";
    Profile {
        name,
        ttft_mu,
        ttft_sigma,
        tokens_per_s,
        tpot_sigma: 0.12,
        source,
    }
}

const fn llmperf(name: &'static str, ttft_mu: f64, ttft_sigma: f64, tokens_per_s: f64, tpot_sigma: f64) -> Profile {
    let source = "computed from ray-project/llmperf-leaderboard raw data of 2023-12-19: 150 requests, concurrency 5, 550 in, 150 out";
    Profile {
        name,
        ttft_mu,
        ttft_sigma,
        tokens_per_s,
        tpot_sigma,
        source,
    }
}

/// The quotas of one kind of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaProfile {
    /// What a scenario calls it.
    pub name: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    rules: &'static [Rule],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    count: Count,
    per_minute: u64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A bucket, with so many seconds of refill as its burst.
    Bucket { burst_secs: u64 },
    /// Aligned windows of so many seconds.
    Windows { secs: u64 },
}

impl QuotaProfile {
    /// Every profile.
    pub const ALL: &'static [QuotaProfile] = &[
        QuotaProfile {
            name: "anthropic-tier1-2025",
            source: "Anthropic's rate limits page, tier 1, Sonnet 4, 2025",
            rules: &[
                bucket(Count::Requests, 50, 60),
                bucket(Count::UncachedInput, 30_000, 60),
                bucket(Count::Output, 8_000, 60),
            ],
        },
        QuotaProfile {
            name: "openai-like",
            source: "OpenAI's rate limits page, lowest paid tier; the algorithm is assumed",
            rules: &[
                bucket(Count::Requests, 500, 60),
                bucket(Count::InputAndMaxOutput, 30_000, 60),
            ],
        },
        QuotaProfile {
            name: "azure-openai",
            source: "Azure's quota page: 6 requests per 1,000 tokens a minute, counted over seconds",
            rules: &[
                Rule {
                    count: Count::Requests,
                    per_minute: 1_440,
                    shape: Shape::Windows { secs: 1 },
                },
                bucket(Count::InputAndMaxOutput, 240_000, 60),
            ],
        },
        QuotaProfile {
            name: "big-enterprise",
            source: "assumed",
            rules: &[
                bucket(Count::Requests, 10_000, 10),
                bucket(Count::InputAndMaxOutput, 30_000_000, 10),
            ],
        },
    ];

    /// The quotas of the account of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static QuotaProfile> {
        QuotaProfile::ALL.iter().find(|profile| profile.name == name)
    }

    /// Its quotas.
    ///
    /// # Panics
    ///
    /// Never: the table is in range, which a test holds.
    #[must_use]
    pub fn quota(&self) -> Vec<QuotaSpec> {
        let minute = Nanos::from_secs(60);
        let spec = |rule: &Rule| match rule.shape {
            Shape::Bucket { burst_secs } => QuotaSpec::token_bucket(
                rule.count,
                rule.per_minute,
                minute,
                Some(rule.per_minute * burst_secs / 60),
            ),
            Shape::Windows { secs } => {
                QuotaSpec::fixed_window(rule.count, rule.per_minute, minute, Nanos::from_secs(secs))
            }
        };
        self.rules
            .iter()
            .map(|rule| spec(rule).expect("the numbers of a profile are in range"))
            .collect()
    }
}

const fn bucket(count: Count, per_minute: u64, burst_secs: u64) -> Rule {
    Rule {
        count,
        per_minute,
        shape: Shape::Bucket { burst_secs },
    }
}
