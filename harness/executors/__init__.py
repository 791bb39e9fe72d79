"""Who carries out units of work: this process, worker processes, or a Dask cluster."""
