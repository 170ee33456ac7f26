//! The files of a full shuffle, whose rows have all been spooled.

use std::sync::Arc;

use super::super::FileLayout;
use super::super::shuffle::{Shuffle, ShuffledPart, Shuffler, Spooled};
use super::super::sink::Part;
use super::super::tasks::run_tasks;
use super::Output;
use crate::{Error, Result};

impl Output<'_> {
    /// Writes spooled rows in their shuffled order.
    pub(super) async fn shuffle(&self, spooled: Vec<Spooled>, activity: &str) -> Result<Vec<Part>> {
        let (Shuffle::Full { seed }, false) = (self.options.shuffle(), spooled.is_empty()) else {
            return Ok(Vec::new());
        };
        let parts = match self.options.layout() {
            FileLayout::Files(files) => files,
            _ => spooled.len(),
        };
        let shuffler = Arc::new(Shuffler::new(
            &self.spill_folder(),
            seed,
            &self.plain,
            &spooled,
            parts,
            self.options.buffer_bytes(),
        ));
        let mut first = 0;
        let mut tasks = Vec::with_capacity(spooled.len());
        for file in spooled {
            let (shuffler, stop) = (Arc::clone(&shuffler), self.stop.clone());
            let start = first;
            first += file.rows();
            tasks.push(async move { shuffler.divide(&file, start, &stop).await });
        }
        run_tasks(tasks, activity).await?;
        let shuffler = Arc::into_inner(shuffler)
            .ok_or_else(|| Error::Internal("a finished task still divides rows".into()))?;

        let write = |(number, mut part): (usize, ShuffledPart)| {
            let (mut files, stop) = (self.files(number, parts), self.stop.clone());
            async move {
                let written: Result<()> = async {
                    while let Some(batch) = part.next(&stop).await? {
                        files.write(&batch).await?;
                    }
                    Ok(())
                }
                .await;
                match written {
                    Ok(()) => files.finish().await,
                    Err(error) => {
                        files.abort().await;
                        Err(error)
                    }
                }
            }
        };
        let tasks = shuffler.finish()?.into_iter().enumerate().map(write);
        let written = run_tasks(tasks.collect(), activity).await?;
        Ok(written.into_iter().flatten().collect())
    }
}
