"""Pools whose texts stay outside this process's memory: in files, or in the partitions of a dask frame."""
