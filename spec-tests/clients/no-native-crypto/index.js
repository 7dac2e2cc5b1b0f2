// matrix-bot-sdk loads this package always and uses it where a bot encrypts.
