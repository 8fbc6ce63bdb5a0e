"""The DirectMail twin: SingleSendMail, attachment uploads and the events that follow a mail.

`service.DirectMail` is the whole service without HTTP, `app.create_app` its RPC door,
`app.create_upload_app` the object store's door for attachments, `outbox.Outbox` what was sent.
"""
