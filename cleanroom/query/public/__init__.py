"""What SQL says over released tables and public tables: post-processing, which costs nothing (DESIGN §3)."""
