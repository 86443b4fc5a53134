"""What makes a batch size fit: every change there is (``changes``), estimated (``search``), as a table (``result``)."""
