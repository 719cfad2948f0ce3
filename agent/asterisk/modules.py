"""Which module of Asterisk reads which configuration file; called by `build` for files that no resource has claimed.

Source: facts.md §3, the reload matrix, measured on 22.10.1; names as AMI's Reload takes them. A file that isn't here is edited without a
reload. Deliberately left out: logger.conf and cdr_csv, since a reload of a faulty one stops the logs, and asterisk.conf, modules.conf and
others that only a restart reads.
"""

MODULES = {
    "acl.conf": "acl",
    "cdr.conf": "cdr",
    "cel.conf": "cel",
    "confbridge.conf": "app_confbridge.so",
    "extensions.conf": "pbx_config.so",
    "features.conf": "features",
    "followme.conf": "app_followme.so",
    "http.conf": "http",
    "indications.conf": "indications",
    "manager.conf": "manager",
    "musiconhold.conf": "res_musiconhold.so",
    "pjsip.conf": "res_pjsip.so",
    "pjsip_wizard.conf": "res_pjsip_config_wizard.so",
    "queues.conf": "app_queue.so",
    "res_parking.conf": "res_parking.so",
    "rtp.conf": "res_rtp_asterisk.so",
    "udptl.conf": "udptl",
}
