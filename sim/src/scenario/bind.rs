//! From the endpoints of a policy to the backends of a scenario.

use std::fmt;

use tollgate_core::file::nearest;
use tollgate_core::policy::Policy;

use super::Scenario;

/// An endpoint that reaches no backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbound {
    /// The strategy whose policy has it.
    pub strategy: String,
    /// Its name.
    pub endpoint: String,
    /// What was probably meant.
    pub help: Option<String>,
}

impl Scenario {
    /// For each policy, the backend that each endpoint reaches: the one of its name.
    ///
    /// # Errors
    ///
    /// Every endpoint, of all policies, that reaches none.
    pub fn bind(&self, policies: &[(&str, &Policy)]) -> Result<Vec<Vec<usize>>, Vec<Unbound>> {
        let mut unbound = Vec::new();
        let mut bound = Vec::new();
        for (strategy, policy) in policies {
            let mut backends = Vec::with_capacity(policy.endpoints.len());
            for endpoint in &policy.endpoints {
                match self.backends.iter().position(|backend| backend.name == endpoint.name) {
                    Some(backend) => backends.push(backend),
                    None => unbound.push(Unbound {
                        strategy: (*strategy).to_owned(),
                        endpoint: endpoint.name.clone(),
                        help: nearest(
                            &endpoint.name,
                            self.backends.iter().map(|backend| backend.name.as_str()),
                        )
                        .help("backend"),
                    }),
                }
            }
            bound.push(backends);
        }
        if unbound.is_empty() { Ok(bound) } else { Err(unbound) }
    }
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "strategy `{}`: no backend is called `{}`",
            self.strategy, self.endpoint
        )?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Unbound {}
