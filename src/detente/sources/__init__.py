"""Files that worlds are read from: one module a format, each giving a labelled xarray Dataset."""
