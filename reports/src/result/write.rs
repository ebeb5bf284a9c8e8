//! A result set as files in memory: JSON, CSV and percentile tables.

use super::number::{count_text, maybe_text};
use super::{Cause, EndpointSummary, File, Latency, Metric, ResultSet, StrategySummary, WriteError};

impl ResultSet {
    /// The data files of the set, in memory; without figures and page.
    ///
    /// # Errors
    ///
    /// When a count is not finite.
    pub fn data_files(&self) -> Result<Vec<File>, WriteError> {
        let mut files = vec![
            File::new("summary.json", self.summary.to_json()?),
            self.summary_csv()?,
            self.series_csv()?,
            self.endpoints_csv()?,
            self.endpoint_series_csv()?,
            self.tenants_csv()?,
        ];
        if !self.requests.is_empty() {
            files.push(self.requests_csv()?);
        }
        let slugs = self.summary.slugs();
        for (strategy, slug) in self.summary.strategies.iter().zip(slugs) {
            for metric in Metric::ALL {
                if let Some(table) = self.histogram(&strategy.name, metric) {
                    let name = format!("{slug}.{}.hgrm", metric.name());
                    files.push(File::new(name, table.to_string()));
                }
            }
        }
        Ok(files)
    }

    fn summary_csv(&self) -> Result<File, WriteError> {
        let mut columns: Vec<String> = [
            "strategy",
            "policy_hash",
            "calls",
            "offered",
            "admitted",
            "completed",
            "failed",
            "abandoned",
            "refused",
        ]
        .map(str::to_owned)
        .to_vec();
        columns.extend(Cause::ALL.iter().map(|cause| format!("refused_{}", cause.name())));
        columns.extend(["attempts", "amplification"].map(str::to_owned));
        for metric in Metric::ALL {
            let figures = ["mean", "p50", "p90", "p95", "p99", "p999", "max"];
            columns.extend(figures.map(|figure| format!("{}_{figure}", metric.name())));
        }
        columns.extend(
            [
                "throughput",
                "goodput",
                "attainment",
                "fairness",
                "cost_usd",
                "wasted_tokens",
            ]
            .map(str::to_owned),
        );

        let mut table = Table::new("summary.csv", &columns);
        for strategy in &self.summary.strategies {
            table
                .text(&strategy.name)
                .text(&strategy.policy_hash)
                .count(strategy.calls);
            let requests = &strategy.requests;
            table
                .count(requests.offered)
                .maybe(requests.admitted)
                .count(requests.completed);
            table
                .count(requests.failed)
                .count(requests.abandoned)
                .count(requests.refused_total());
            for cause in Cause::ALL {
                table.count(requests.refused.get(&cause).copied().unwrap_or(0.0));
            }
            table.maybe(strategy.attempts).maybe(strategy.amplification);
            for metric in Metric::ALL {
                let of = strategy.latency(metric);
                for figure in [of.mean, of.p50, of.p90, of.p95, of.p99, of.p999, of.max] {
                    table.maybe(figure);
                }
            }
            table
                .maybe(strategy.throughput)
                .maybe(strategy.goodput)
                .maybe(strategy.attainment);
            table
                .maybe(strategy.fairness)
                .maybe(strategy.cost_usd)
                .maybe(strategy.wasted_tokens);
            table.end_row();
        }
        table.finish()
    }

    fn series_csv(&self) -> Result<File, WriteError> {
        let mut columns: Vec<String> = ["strategy", "second", "bin_seconds", "offered", "admitted"]
            .map(str::to_owned)
            .to_vec();
        columns.extend(Cause::ALL.iter().map(|cause| format!("refused_{}", cause.name())));
        columns.extend(
            [
                "completed",
                "failed",
                "in_flight",
                "queued",
                "ttft_p50",
                "ttft_p99",
                "e2e_p50",
                "e2e_p99",
            ]
            .map(str::to_owned),
        );

        let mut table = Table::new("series.csv", &columns);
        for row in &self.series {
            table.text(&row.strategy).count(row.second).count(self.bin_seconds);
            table.count(row.offered).maybe(row.admitted);
            for cause in Cause::ALL {
                table.count(row.refused.get(&cause).copied().unwrap_or(0.0));
            }
            table
                .count(row.completed)
                .count(row.failed)
                .count(row.in_flight)
                .maybe(row.queued);
            table
                .maybe(row.ttft_p50)
                .maybe(row.ttft_p99)
                .maybe(row.e2e_p50)
                .maybe(row.e2e_p99);
            table.end_row();
        }
        table.finish()
    }

    fn endpoints_csv(&self) -> Result<File, WriteError> {
        let columns = [
            "strategy",
            "endpoint",
            "attempts",
            "failed",
            "ejected_seconds",
            "utilization",
            "share",
            "cost_usd",
        ];
        let mut table = Table::new("endpoints.csv", &columns);
        for strategy in &self.summary.strategies {
            for endpoint in &strategy.endpoints {
                let EndpointSummary {
                    name,
                    attempts,
                    failed,
                    utilization,
                    ejected_seconds,
                    share,
                    cost_usd,
                } = endpoint;
                table
                    .text(&strategy.name)
                    .text(name)
                    .count(*attempts)
                    .count(*failed)
                    .count(*ejected_seconds);
                table.maybe(*utilization).maybe(*share).maybe(*cost_usd).end_row();
            }
        }
        table.finish()
    }

    fn endpoint_series_csv(&self) -> Result<File, WriteError> {
        let columns = ["strategy", "second", "endpoint", "attempts", "failed", "available"];
        let mut table = Table::new("endpoint_series.csv", &columns);
        for row in &self.endpoint_series {
            table.text(&row.strategy).count(row.second).text(&row.endpoint);
            table
                .count(row.attempts)
                .count(row.failed)
                .count(row.available)
                .end_row();
        }
        table.finish()
    }

    fn tenants_csv(&self) -> Result<File, WriteError> {
        let columns = [
            "strategy",
            "tenant",
            "offered",
            "admitted",
            "completed",
            "refused",
            "failed",
            "abandoned",
            "tokens",
            "cost_usd",
            "fairness",
        ];
        let mut table = Table::new("tenants.csv", &columns);
        for row in &self.tenants {
            table
                .text(&row.strategy)
                .text(&row.tenant)
                .count(row.offered)
                .maybe(row.admitted);
            table
                .count(row.completed)
                .count(row.refused)
                .count(row.failed)
                .count(row.abandoned);
            table.count(row.tokens).maybe(row.cost_usd);
            // The index is over the tenants of a strategy, so it repeats in each of its rows.
            table.maybe(
                self.summary
                    .strategy(&row.strategy)
                    .and_then(|strategy| strategy.fairness),
            );
            table.end_row();
        }
        table.finish()
    }

    fn requests_csv(&self) -> Result<File, WriteError> {
        let columns = [
            "id",
            "tenant",
            "strategy",
            "arrived",
            "admitted",
            "launched",
            "first_token",
            "finished",
            "attempts",
            "retries",
            "hedges",
            "fallbacks",
            "prompt_tokens",
            "output_tokens",
            "endpoint",
            "outcome",
        ];
        let mut table = Table::new("requests.csv", &columns);
        for row in &self.requests {
            table
                .text(&row.id.to_string())
                .text(&row.tenant)
                .text(&row.strategy)
                .count(row.arrived);
            table
                .maybe(row.admitted)
                .maybe(row.launched)
                .maybe(row.first_token)
                .maybe(row.finished);
            for n in [row.attempts, row.retries, row.hedges, row.fallbacks] {
                table.text(&n.map(|n| n.to_string()).unwrap_or_default());
            }
            table
                .text(&row.prompt_tokens.to_string())
                .text(&row.output_tokens.to_string());
            table.text(&row.endpoint).text(&row.outcome).end_row();
        }
        table.finish()
    }
}

impl StrategySummary {
    /// The latency figures of one metric.
    #[must_use]
    pub fn latency(&self, metric: Metric) -> &Latency {
        match metric {
            Metric::E2e => &self.e2e,
            Metric::Ttft => &self.ttft,
            Metric::Tpot => &self.tpot,
            Metric::QueueWait => &self.queue_wait,
            Metric::Overhead => &self.overhead,
        }
    }
}

/// A CSV file being written; the first undefined count is kept and told at the end.
struct Table {
    file: &'static str,
    columns: Vec<String>,
    to: csv::Writer<Vec<u8>>,
    row: Vec<String>,
    rows: usize,
    undefined: Option<String>,
}

impl Table {
    fn new(file: &'static str, columns: &[impl AsRef<str>]) -> Table {
        let columns: Vec<String> = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        let mut to = csv::Writer::from_writer(Vec::new());
        to.write_record(&columns).expect("a vector takes every byte");
        Table {
            file,
            columns,
            to,
            row: Vec::new(),
            rows: 0,
            undefined: None,
        }
    }

    fn text(&mut self, text: &str) -> &mut Table {
        self.row.push(text.to_owned());
        self
    }

    fn count(&mut self, value: f64) -> &mut Table {
        if !value.is_finite() && self.undefined.is_none() {
            let column = &self.columns[self.row.len()];
            self.undefined = Some(format!("row {}, column {column} is {value}", self.rows + 1));
        }
        self.row.push(count_text(value).unwrap_or_default());
        self
    }

    fn maybe(&mut self, value: Option<f64>) -> &mut Table {
        self.row.push(maybe_text(value));
        self
    }

    fn end_row(&mut self) {
        self.to
            .write_record(&self.row)
            .expect("every row has as many fields as the header");
        self.row.clear();
        self.rows += 1;
    }

    fn finish(self) -> Result<File, WriteError> {
        match self.undefined {
            Some(cause) => Err(WriteError::Undefined {
                file: self.file.to_owned(),
                cause,
            }),
            None => Ok(File::new(
                self.file,
                self.to.into_inner().expect("a vector takes every byte"),
            )),
        }
    }
}
